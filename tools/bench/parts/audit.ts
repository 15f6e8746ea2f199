import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectForBackground, createKeys } from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import { readWorkerConfig } from '@livegate/worker/config';
import { openAudit } from '@livegate/worker/jobs/audit/open-audit';
import { type Bench, type Figure, formatNumber, type Part } from '../bench.js';
import { formatTable } from '../../format-table.js';
import { sendLoad, startProduct } from '../product.js';
import { interleave, median, medianRatio, percentile, repeatWork } from '../rounds.js';

/** Checks that end at once in a busy worker of two cores. */
const CONCURRENCY = 8;
const KINDS = ['file', 'stream'] as const;

/** Measures what an audit costs each check, alone and in the whole product. */
export const measureAudit: Part = async (bench, say) => {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-audit-'));
  const envOf = (kind: string) => ({
    LIVEGATE_AUDIT: kind,
    LIVEGATE_AUDIT_DIR: folder,
    LIVEGATE_KEY_PREFIX: '{bench-audit}',
  });
  try {
    const costs = await interleave<string, Cost>(bench.rounds, {
      'file, 1 at a time': () => measureRecords(bench, envOf('file'), 1),
      [`file, ${CONCURRENCY} at a time`]: () => measureRecords(bench, envOf('file'), CONCURRENCY),
      'stream, 1 at a time': () => measureRecords(bench, envOf('stream'), 1),
      [`stream, ${CONCURRENCY} at a time`]: () =>
        measureRecords(bench, envOf('stream'), CONCURRENCY),
    });
    say(describeCosts(costs));
    const rates = await interleave<string, number>(bench.rounds, {
      off: () => measureProduct(bench, envOf('off')),
      file: () => measureProduct(bench, envOf('file')),
      stream: () => measureProduct(bench, envOf('stream')),
    });
    return KINDS.map((kind): Figure => ({
      name: `images/s with an audit in a ${kind} / without one`,
      value: medianRatio(rates[kind]!, rates['off']!),
      unit: 'x',
      aim: { atLeast: 0.97 },
    }));
  } finally {
    await rm(folder, { recursive: true });
  }
};

interface Cost {
  /** Of the worker's process, without Redis. */
  cpuMs: number;
  p50Ms: number;
  p99Ms: number;
}

async function measureRecords(bench: Bench, env: Record<string, string>, concurrency: number) {
  const config = readWorkerConfig({ ...bench.env, ...env });
  const log = createLog('worker', 'fatal');
  const redis = connectForBackground({ url: config.REDIS_URL, name: 'bench' }, log);
  const keys = createKeys(config.LIVEGATE_KEY_PREFIX);
  const { models } = bench.pipeline;
  const audit = await openAudit(config, {
    worker: `bench-${crypto.randomUUID()}`,
    models,
    redis,
    keys,
    log,
  });
  const image = bench.photos.selfie;
  const end = await bench.pipeline.assess(image);
  const check = { id: crypto.randomUUID(), tenant: 'bench', takenAt: 0, image, end };
  const before = process.cpuUsage();
  const load = { concurrency, seconds: bench.seconds };
  const { latenciesMs } = await repeatWork(() => audit.record(check), load);
  const { user, system } = process.cpuUsage(before);
  await audit.close();
  redis.disconnect();
  return {
    cpuMs: (user + system) / 1000 / latenciesMs.length,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
  };
}

function describeCosts(costs: Record<string, Cost[]>): string {
  const lines = Object.entries(costs).map(([name, rounds]) => [
    name,
    ...(['cpuMs', 'p50Ms', 'p99Ms'] as const).map((key) =>
      formatNumber(median(rounds.map((cost) => cost[key]))),
    ),
  ]);
  return formatTable(['record', 'CPU ms', 'p50 ms', 'p99 ms'], lines);
}

async function measureProduct(bench: Bench, env: Record<string, string>): Promise<number> {
  const product = await startProduct(bench, { env });
  try {
    const load = { image: bench.photos.selfie, connections: CONCURRENCY, seconds: bench.seconds };
    await sendLoad(product.urls[0]!, { ...load, seconds: 2 });
    return (await sendLoad(product.urls[0]!, load)).perSecond;
  } finally {
    await product.stop();
  }
}
