import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { developmentCredential } from '@livegate/api/credentials/credential-book';
import { findFreePort } from '../../dev/ports.js';
import { formatTable } from '../../format-table.js';
import { type Bench, type Figure, formatNumber, type Part } from '../bench.js';
import { withOwnCores } from '../own-cores.js';
import { type Answer, latencies, type OpenLoad, p99, sendOpenLoad } from './open-load.js';
import {
  credentials,
  type Product,
  type ProductOptions,
  sendLoad,
  startProduct,
} from '../product.js';
import { percentile } from '../rounds.js';

/** The offered load, as a multiple of what was measured right before. */
const OVERLOAD = 5;
/** With the default of 8 `--seconds` a load lasts half a minute, with 30 two minutes. */
const LOADS_OF_SECONDS = 4;
const CALLERS = 16;
/** Until V8 has optimized the code of gateway and worker, checks cost several times as much. */
const WARM_UP_SECONDS = 10;
const HANG_UPS_MS = [25_000, 10_000];
/** The share of the capacity that the second tenant uses; the first one then has 50 times as much. */
const SMALL_SHARE = 0.1;
const FLOOD = 50;
/** A check that is answered within this time, and 4 times the p50 without load, meets no queue. */
const RECOVERED_MS = 300;

const other = { ...credentials, authorization: `Basic ${btoa('other:default-password')}` };

interface Target {
  product: Product;
  url: string;
  /** The images that engines have run. */
  countRuns(): Promise<number>;
  stop(): Promise<void>;
}

/**
 * Measures overload, at five times the load that the product carries: how many checks are answered
 * before their callers give up, and how fast others are refused. `--seconds 30` loads for two minutes
 * each. The worker has cores of its own, so refusals by the gateway and requests of the callers take no
 * time from its engines.
 */
export const measureOverload: Part = (bench, say) =>
  withTarget(bench, {}, async (halved, target) => {
    const photo = bench.photos.sizes.find(({ name }) => name === 'photo 12 MP')!.jpeg;
    const selfies = { name: 'selfies', image: bench.photos.selfie };
    const figures: Figure[] = [];
    for (const kind of [selfies, { name: 'photos of 12 MP', image: photo }]) {
      figures.push(...(await measureKind(halved, { target, kind, say })));
    }
    return figures;
  });

/**
 * An arriving check waits until an engine is free, so with k busy engines its p95 cannot be below
 * 1 + (1 - .05^(1/k)) times that of an idle worker: 1.95 with one, 1.31 with eight. The aims are
 * judged with eight fake engines of 150 ms, which keep the rate within what one gateway carries. Like
 * those of CPU cores, they run two images at once while one tenant has checks.
 */
const FAKE_ENGINES = ['tools/dist/bench/programs/double-worker.js', '2', '0', '150', '8'];

/** Measures what a flood of one tenant does to the checks of another. */
export const measureFairness: Part = async (bench, say) => {
  const kind = { name: 'selfies', image: bench.photos.selfie };
  const ofOne = await withTarget(bench, {}, (halved, target) =>
    compareTenants(halved, { target, kind, say, engines: 'one engine' }),
  );
  const ofEight = await withTarget(bench, { worker: FAKE_ENGINES }, (halved, target) => {
    const aims = { p95: { atMost: 1.5 }, answers: { atLeast: 0.97 } };
    return compareTenants(halved, { target, kind, say, engines: 'eight fake engines', aims });
  });
  return [...ofOne, ...ofEight];
};

function withTarget(
  bench: Bench,
  options: ProductOptions,
  measure: (halved: Bench, target: Target) => Promise<Figure[]>,
): Promise<Figure[]> {
  return withOwnCores(bench, async (halved, moveService) => {
    const target = await start(halved, options);
    moveService(target.product.worker);
    try {
      return await measure(halved, target);
    } finally {
      await target.stop();
    }
  });
}

async function start(bench: Bench, options: ProductOptions = {}): Promise<Target> {
  const dir = await mkdtemp(join(tmpdir(), 'livegate-overload-'));
  const file = join(dir, 'credentials.json');
  const tenants = [
    developmentCredential,
    { ...developmentCredential, tenant: 'other', username: 'other' },
  ];
  await writeFile(file, JSON.stringify({ credentials: tenants }));
  const port = await findFreePort();
  const product = await startProduct(bench, {
    ...options,
    env: { LIVEGATE_CREDENTIALS_FILE: file },
    workerEnv: { OTEL_METRICS_EXPORTER: 'prometheus', OTEL_EXPORTER_PROMETHEUS_PORT: `${port}` },
  });
  return {
    product,
    url: product.urls[0]!,
    async countRuns() {
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      const sums = [...metrics.matchAll(/^livegate_batch_size_sum\S* (\S+)/gm)];
      return sums.reduce((sum, [, value]) => sum + Number(value), 0);
    },
    async stop() {
      await product.stop();
      await rm(dir, { recursive: true });
    },
  };
}

interface Measured {
  target: Target;
  kind: { name: string; image: Buffer };
  say: (line: string) => void;
}

/** What the product carries, after a warm-up in which the worker measures its own speed. */
async function measureCapacity({ seconds }: Bench, { target, kind }: Measured): Promise<number> {
  const load = { image: kind.image, connections: CALLERS, mayRefuse: true };
  await sendLoad(target.url, { ...load, seconds: WARM_UP_SECONDS });
  return (await sendLoad(target.url, { ...load, seconds })).perSecond;
}

async function measureKind(bench: Bench, measured: Measured): Promise<Figure[]> {
  const { target, kind, say } = measured;
  const capacity = await measureCapacity(bench, measured);
  const figures: Figure[] = [];
  for (const hangUpAfterMs of HANG_UPS_MS) {
    const before = await target.countRuns();
    const load = {
      image: kind.image,
      headers: credentials,
      perSecond: OVERLOAD * capacity,
      seconds: LOADS_OF_SECONDS * bench.seconds,
      hangUpAfterMs,
    };
    const started = performance.now();
    const loading = sendOpenLoad(target.url, load);
    await sleep(1000 * load.seconds);
    const recovery = measureRecovery(target, kind.image);
    const answers = await loading;
    const recoveryMs = await recovery;
    const runs = (await target.countRuns()) - before - 1;
    const answered = latencies(answers, 200).length;
    // Answers after the load are not counted: the queue is then emptied without new requests.
    const inTime = answers.filter(({ status, sentAt, ms }) => {
      return status === 200 && sentAt + ms < started + 1000 * load.seconds;
    });
    const name = `${kind.name}, ${OVERLOAD}x for ${load.seconds} s, callers wait ${hangUpAfterMs / 1000} s`;
    say(describe(name, { capacity, answers, runs }));
    const perSecond = inTime.length / load.seconds;
    const toNobody = Math.max(0, (runs - answered) / runs);
    figures.push(
      aimed(`${name}: answered in time / C`, perSecond / capacity, { atLeast: 0.9 }),
      aimed(`${name}: refusals p99, ms`, p99(answers, 503), { atMost: 100 }),
      aimed(`${name}: accepted p99, ms`, p99(answers, 200), { atMost: hangUpAfterMs }),
      aimed(`${name}: recovery, ms`, recoveryMs, { atMost: 5000 }),
      aimed(`${name}: engine runs for callers who left`, toNobody, { atMost: 0.01 }),
    );
  }
  return figures;
}

function aimed(name: string, value: number, aim: Figure['aim']): Figure {
  return { name, value, unit: '', ...(aim && { aim }) };
}

/** Milliseconds until a check of the same tenant no longer meets a queue. */
async function measureRecovery({ url }: Target, image: Buffer): Promise<number> {
  const started = performance.now();
  for (;;) {
    const load = { image, headers: credentials, perSecond: 1, seconds: 1, hangUpAfterMs: 10_000 };
    const [answer] = await sendOpenLoad(url, load);
    if (answer!.status === 200 && answer!.ms < RECOVERED_MS + 4 * image.length * 1e-3) {
      return performance.now() - started - answer!.ms;
    }
    await sleep(50);
  }
}

async function compareTenants(
  bench: Bench,
  measured: Measured & { engines: string; aims?: Record<'p95' | 'answers', Figure['aim']> },
): Promise<Figure[]> {
  const { target, kind, say } = measured;
  const capacity = await measureCapacity(bench, measured);
  const small: OpenLoad = {
    image: kind.image,
    headers: other,
    perSecond: SMALL_SHARE * capacity,
    seconds: 2 * LOADS_OF_SECONDS * bench.seconds,
    hangUpAfterMs: 25_000,
  };
  const alone = await sendOpenLoad(target.url, small);
  const flood = { ...small, headers: credentials, perSecond: FLOOD * small.perSecond };
  const sendBoth = (headers: OpenLoad['headers']) =>
    Promise.all([sendOpenLoad(target.url, flood), sendOpenLoad(target.url, { ...small, headers })]);
  // The checks of one tenant run in the order of their arrival, which is unfair to the small one.
  const unfair = await sendBoth(credentials);
  const fair = await sendBoth(other);
  const [, beside] = fair;
  const at = (answers: Answer[], share: number) => percentile(latencies(answers, 200), share);
  const name = `${measured.engines}, a tenant at ${SMALL_SHARE} C beside ${FLOOD} times that`;
  const change = (share: number) =>
    `${formatNumber(at(alone, share))} -> ${formatNumber(at(beside, share))} ms`;
  say(`${name}: p50 ${change(0.5)}, p95 ${change(0.95)}`);
  say(`${name}: its answers by status: ${countStatuses(beside)}`);
  const count = (answers: Answer[][]) => latencies(answers.flat(), 200).length;
  const failed = beside.filter(({ status }) => status !== 200).length;
  return [
    aimed(`${name}: p95 / alone`, at(beside, 0.95) / at(alone, 0.95), measured.aims?.p95),
    aimed(`${name}: its requests without a verdict`, failed, { atMost: 0 }),
    aimed(
      `${name}: all answers / those without turns`,
      count(fair) / count(unfair),
      measured.aims?.answers,
    ),
  ];
}

function describe(
  name: string,
  { capacity, answers, runs }: { capacity: number; answers: Answer[]; runs: number },
): string {
  const counts = countStatuses(answers);
  const row = [name, formatNumber(capacity), counts, `${runs}`];
  return formatTable(['', 'C/s', 'answers by status, 0: hung up', 'engine runs'], [row]);
}

function countStatuses(answers: Answer[]): string {
  const statuses = [...new Set(answers.map(({ status }) => status))].toSorted((a, b) => a - b);
  return statuses.map((status) => `${status}: ${latencies(answers, status).length}`).join(', ');
}
