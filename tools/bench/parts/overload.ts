import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { developmentCredential } from '@livegate/api/credentials/credential-book';
import { findFreePort } from '../../dev/ports.js';
import { formatTable } from '../../format-table.js';
import { type Bench, type Figure, formatNumber, type Part } from '../bench.js';
import { type MoveWorker, withOwnCores } from '../own-cores.js';
import { type Answer, latencies, type OpenLoad, p99, sendOpenLoad } from '../open-load.js';
import { credentials, type Product, sendLoad, startProduct } from '../product.js';
import { percentile } from '../rounds.js';

/** The offered load, as a multiple of what was measured right before. */
const OVERLOAD = 5;
/** With the default of 8 `--seconds` a load lasts half a minute, with 30 two minutes. */
const LOADS_OF_SECONDS = 4;
const CALLERS = 16;
const PATIENCES = [25_000, 10_000];
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
}

/**
 * Measures overload, at five times the load that the product carries: how many checks are answered
 * before their callers give up, how fast others are refused, and what one tenant's flood does to
 * another. `--seconds 30` loads for two minutes each. The worker has cores of its own: what refusing
 * costs the gateway, and sending costs the callers, is not taken from its engines.
 */
export const measureOverload: Part = (bench, say) =>
  withOwnCores(bench, (halved, moveWorker) => measureOverloads(halved, { moveWorker, say }));

async function measureOverloads(
  bench: Bench,
  { moveWorker, say }: { moveWorker: MoveWorker; say: (line: string) => void },
): Promise<Figure[]> {
  const dir = await mkdtemp(join(tmpdir(), 'livegate-overload-'));
  const target = await start(bench, dir);
  moveWorker(target.product.worker);
  try {
    const photo = bench.photos.sizes.find(({ name }) => name === 'photo 12 MP')!.jpeg;
    const selfies = { name: 'selfies', image: bench.photos.selfie };
    const figures: Figure[] = [];
    for (const kind of [selfies, { name: 'photos of 12 MP', image: photo }]) {
      figures.push(...(await measureKind(bench, { target, kind, say })));
    }
    figures.push(...(await measureFairness(bench, { target, kind: selfies, say })));
    return figures;
  } finally {
    await target.product.stop();
    await rm(dir, { recursive: true });
  }
}

async function start(bench: Bench, dir: string): Promise<Target> {
  const file = join(dir, 'credentials.json');
  const tenants = [
    developmentCredential,
    { ...developmentCredential, tenant: 'other', username: 'other' },
  ];
  await writeFile(file, JSON.stringify({ credentials: tenants }));
  const port = await findFreePort();
  const product = await startProduct(bench, {
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
  await sendLoad(target.url, { ...load, seconds: seconds / 2 });
  return (await sendLoad(target.url, { ...load, seconds })).perSecond;
}

async function measureKind(bench: Bench, measured: Measured): Promise<Figure[]> {
  const { target, kind, say } = measured;
  const capacity = await measureCapacity(bench, measured);
  const figures: Figure[] = [];
  for (const patienceMs of PATIENCES) {
    const before = await target.countRuns();
    const load = {
      image: kind.image,
      headers: credentials,
      perSecond: OVERLOAD * capacity,
      seconds: LOADS_OF_SECONDS * bench.seconds,
      patienceMs,
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
    const name = `${kind.name}, ${OVERLOAD}x for ${load.seconds} s, patience ${patienceMs / 1000} s`;
    say(describe(name, { capacity, answers, runs }));
    const perSecond = inTime.length / load.seconds;
    const toNobody = Math.max(0, (runs - answered) / runs);
    figures.push(
      aimed(`${name}: answered in time / C`, perSecond / capacity, { atLeast: 0.9 }),
      aimed(`${name}: refusals p99, ms`, p99(answers, 503), { atMost: 100 }),
      aimed(`${name}: accepted p99, ms`, p99(answers, 200), { atMost: patienceMs }),
      aimed(`${name}: recovery, ms`, recoveryMs, { atMost: 5000 }),
      aimed(`${name}: engine runs for callers who left`, toNobody, { atMost: 0.01 }),
    );
  }
  return figures;
}

function aimed(name: string, value: number, aim: NonNullable<Figure['aim']>): Figure {
  return { name, value, unit: '', aim };
}

/** Milliseconds until a check of the same tenant no longer meets a queue. */
async function measureRecovery({ url }: Target, image: Buffer): Promise<number> {
  const started = performance.now();
  for (;;) {
    const load = { image, headers: credentials, perSecond: 1, seconds: 1, patienceMs: 10_000 };
    const [answer] = await sendOpenLoad(url, load);
    if (answer!.status === 200 && answer!.ms < RECOVERED_MS + 4 * image.length * 1e-3) {
      return performance.now() - started - answer!.ms;
    }
    await sleep(50);
  }
}

async function measureFairness(bench: Bench, measured: Measured): Promise<Figure[]> {
  const { target, kind, say } = measured;
  const capacity = await measureCapacity(bench, measured);
  const small: OpenLoad = {
    image: kind.image,
    headers: other,
    perSecond: SMALL_SHARE * capacity,
    seconds: 2 * LOADS_OF_SECONDS * bench.seconds,
    patienceMs: 25_000,
  };
  const alone = await sendOpenLoad(target.url, small);
  const flood = { ...small, headers: credentials, perSecond: FLOOD * small.perSecond };
  const [flooding, beside] = await Promise.all([
    sendOpenLoad(target.url, flood),
    sendOpenLoad(target.url, small),
  ]);
  const p95 = (answers: Answer[]) => percentile(latencies(answers, 200), 0.95);
  const p50 = (answers: Answer[]) => percentile(latencies(answers, 200), 0.5);
  const name = `a tenant at ${SMALL_SHARE} C beside another one's ${FLOOD} times that`;
  say(
    `${name}: p50 ${formatNumber(p50(alone))} -> ${formatNumber(p50(beside))} ms, ` +
      `p95 ${formatNumber(p95(alone))} -> ${formatNumber(p95(beside))} ms`,
  );
  say(`${name}: its answers by status: ${countStatuses(beside)}`);
  const answered = latencies(flooding, 200).length + latencies(beside, 200).length;
  const failed = beside.filter(({ status }) => status !== 200).length;
  return [
    aimed(`${name}: p95 / alone`, p95(beside) / p95(alone), { atMost: 1.5 }),
    aimed(`${name}: its requests without a verdict`, failed, { atMost: 0 }),
    aimed(`${name}: all answers / C`, answered / small.seconds / capacity, { atLeast: 0.9 }),
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
