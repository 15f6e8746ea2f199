// npm run soak -- [--minutes 10 | --hours 8] [--out .data/soak]: a mixed load at 60 % of the capacity. Fails
// if memory, latency, keys, sockets, threads or leases grow. bootstrap.mjs has already installed and built,
// and changed to the repository's root.
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connectForBackground } from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import { formatNumber } from '../bench/bench.js';
import { makePhotos } from '../bench/photos.js';
import { sendLoad, startProduct } from '../bench/product.js';
import { repeatWork } from '../bench/rounds.js';
import { startTemporaryRedis } from '../dev/find-or-start-redis.js';
import { findFreePort } from '../dev/ports.js';
import { nativeEnv } from '../dev/processes.js';
import { formatTable } from '../format-table.js';
import { prepareModels } from '../models/prepare-models.js';
import { drawSamples } from './draw-samples.js';
import { createMixedLoad } from './mixed-load.js';
import { countLeases, type Measure, measures, type Sample, takeSample } from './sample.js';
import { findTrend, type Trend } from './trend.js';

const LOAD_SHARE = 0.6;
const CALLERS = 16;
const CAPACITY_SECONDS = 10;
/** Enough for a slope, and few enough that collecting garbage for each costs little. */
const SAMPLES = 60;
/** Caches fill, and results reach their expiry. */
const WARM_UP_SHARE = 0.25;
const RESULT_TTL_SECONDS = 20;
/** A gateway answers 503 when Redis takes longer than its limit, as on a machine that others use. */
const MAX_REFUSED_SHARE = 0.01;
const RELEASED_WITHIN_MS = 30_000;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string' },
    hours: { type: 'string' },
    out: { type: 'string', default: '.data/soak' },
    // Allowed here and read by tools/dev/install-program.ts.
    install: { type: 'boolean' },
  },
});
const seconds = options.hours ? 3600 * Number(options.hours) : 60 * Number(options.minutes ?? 10);
if (!(seconds > 0)) throw new Error('--minutes and --hours need a number above 0');

const redis = await startTemporaryRedis('soak', console.error);
let isFlat = false;
try {
  isFlat = await soak(redis.url);
} finally {
  await redis.stop();
}
process.exit(isFlat ? 0 : 1);

/** Whether every measure was flat, and nothing was held at the end. */
async function soak(redisUrl: string): Promise<boolean> {
  const { selfie } = await makePhotos();
  const scrapePort = await findFreePort();
  const gatewayEnv = {
    OTEL_METRICS_EXPORTER: 'prometheus',
    OTEL_EXPORTER_PROMETHEUS_PORT: `${scrapePort}`,
  };
  const product = await startProduct({ env: await createEnv(redisUrl) }, { gatewayEnv });
  const client = connectForBackground({ url: redisUrl, name: 'soak' }, createLog('api', 'fatal'));
  try {
    const url = product.urls[0]!;
    const metricsUrl = `http://127.0.0.1:${scrapePort}/metrics`;
    const load = createMixedLoad(url, selfie);
    const perSecond = LOAD_SHARE * (await measureCapacity(url, selfie));
    const watched = { product, redis: client, metricsUrl, takeLatencies: load.takeLatencies };
    const samples: Sample[] = [];
    const running = repeatWork(load.act, { concurrency: CALLERS, seconds, perSecond });
    let isOver = false;
    // It rejects below, after the samples.
    void running.catch(() => undefined).finally(() => (isOver = true));
    while (!isOver) {
      await Promise.race([sleep((1000 * seconds) / SAMPLES), running]);
      samples.push(await takeSample(watched));
    }
    const rate = await running;
    const held = await untilReleased(metricsUrl);
    const lines = Object.entries(load.counts()).map(([name, times]) => `${times} x ${name}`);
    const refused = load.refusedShare();
    console.log(
      `${formatNumber(rate.perSecond)} actions/s, ${formatNumber(100 * refused)} % refused, ` +
        `${held} leases left; ${lines.join(', ')}`,
    );
    return (await report(samples)) && held === 0 && refused <= MAX_REFUSED_SHARE;
  } finally {
    client.disconnect();
    await product.stop();
  }
}

async function createEnv(redisUrl: string): Promise<Record<string, string>> {
  const modelsDir = resolve(process.env['LIVEGATE_MODELS_DIR'] || '.data/models');
  await prepareModels(modelsDir, console.error);
  return {
    ...nativeEnv,
    REDIS_URL: redisUrl,
    LIVEGATE_MODELS_DIR: modelsDir,
    LIVEGATE_LOG_LEVEL: 'fatal',
    LIVEGATE_RESULT_TTL_SECONDS: `${RESULT_TTL_SECONDS}`,
    LIVEGATE_SESSION_REQUESTS_PER_ADDRESS: '0',
  };
}

/** Checks per second of callers who all wait. */
async function measureCapacity(url: string, image: Buffer): Promise<number> {
  const load = { image, connections: CALLERS, seconds: CAPACITY_SECONDS, mayRefuse: true };
  const { perSecond } = await sendLoad(url, load);
  const [cpu] = cpus();
  const machine = `${cpus().length} x ${cpu?.model.trim()}, Node ${process.versions.node}`;
  console.log(`${machine}; capacity ${formatNumber(perSecond)} checks/s, for ${seconds} s`);
  return perSecond;
}

/** The leases that are left when nothing runs any more; those of async checks end with them. */
async function untilReleased(metricsUrl: string): Promise<number> {
  const deadline = performance.now() + RELEASED_WITHIN_MS;
  let held = await countLeases(metricsUrl);
  while (held > 0 && performance.now() < deadline) {
    await sleep(200);
    held = await countLeases(metricsUrl);
  }
  return held;
}

/** Prints the table, and writes it with the samples and their plot. Whether all measures are flat. */
async function report(samples: Sample[]): Promise<boolean> {
  const warmUp = Math.ceil(WARM_UP_SHARE * samples.length);
  const names = Object.keys(measures) as Measure[];
  const trends = names.map((name) => ({ name, ...trendOf(samples.slice(warmUp), name) }));
  const header = ['measure', 'level', 'growth', 'allowed', ''];
  const rows = trends.map(({ name, level, growth, most, isFlat: flat }) => [
    name,
    ...[level, growth, most].map(formatNumber),
    flat ? 'flat' : 'GROWS',
  ]);
  console.log(formatTable(header, rows));
  await mkdir(options.out, { recursive: true });
  const record = { date: new Date().toISOString(), seconds, warmUp, trends, samples };
  await writeFile(join(options.out, 'soak.json'), `${JSON.stringify(record, null, 2)}\n`);
  await writeFile(join(options.out, 'soak.svg'), drawSamples(samples, warmUp));
  console.log(`written to ${options.out}`);
  return trends.every(({ isFlat: flat }) => flat);
}

/** An interval without a waiting caller has no latency. */
function trendOf(samples: Sample[], name: Measure): Trend {
  const values = samples.map((sample) => sample[name]).filter((value) => Number.isFinite(value));
  return findTrend(values, measures[name]);
}
