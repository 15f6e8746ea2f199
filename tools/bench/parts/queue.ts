import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { JOB_VERSION } from '@livegate/core/domain';
import {
  connectForBackground,
  createKeys,
  createRedisCheckQueue,
  createRedisImageStore,
} from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import { stopServices } from '../../dev/processes.js';
import { formatTable } from '../../format-table.js';
import { type Bench, formatNumber, type Part } from '../bench.js';
import { sendLoad } from '../load.js';
import { makeGreySquare } from '../photos.js';
import { startProduct, startWatched } from '../product.js';
import { interleave, median, medianRatio, percentile, type Rate } from '../rounds.js';

const RUN_MS = 4;
const ITEM_MS = 0.25;
const BATCHES = [1, 4, 8, 16];
/** Left out at both ends, where the worker starts and where batches are no longer full. */
const EDGE_SHARE = 0.15;

/** Can the queue keep an engine busy that is far faster than a CPU? */
export const measureGpuLike: Part = async (bench) => {
  const figures = [];
  for (const batch of BATCHES) {
    const ideal = (1000 * batch) / (RUN_MS + ITEM_MS * batch);
    const engine = { batch, runMs: RUN_MS, itemMs: ITEM_MS };
    const rate = await drainBacklog(bench, engine, Math.round(ideal * 2 * bench.seconds));
    const name = `GPU-like engine, batch ${batch}: share of its ${ideal.toFixed(0)}/s`;
    figures.push({ name, value: rate / ideal, unit: '', aim: { atLeast: 0.95 } });
  }
  return figures;
};

interface DoubleEngine {
  batch: number;
  runMs: number;
  itemMs: number;
  /** The gateway that waits for the results; absent for async checks. */
  replyTo?: string;
}

/** Checks per second out of a queue that is full before the worker starts. */
async function drainBacklog(
  bench: Bench,
  { batch, runMs, itemMs, replyTo }: DoubleEngine,
  checks: number,
): Promise<number> {
  const backlog = await openBacklog(bench.env['REDIS_URL']!);
  await backlog.fill(checks, await makeGreySquare(), replyTo);
  const args = [`${batch}`, `${runMs}`, `${itemMs}`];
  const worker = startWatched(['tools/dist/bench/programs/double-worker.js', ...args], {
    ...bench.env,
    LIVEGATE_KEY_PREFIX: backlog.prefix,
  });
  const from = await backlog.untilWaiting((1 - EDGE_SHARE) * checks);
  const to = await backlog.untilWaiting(EDGE_SHARE * checks);
  await backlog.untilWaiting(0);
  await stopServices([worker], 20_000);
  await backlog.close();
  return (1000 * (from.waiting - to.waiting)) / (to.atMs - from.atMs);
}

const QUEUED = 1000;

/** What a check takes in Redis while it waits, beside the bytes of its image. */
export const measureQueueMemory: Part = async ({ env, photos }) => {
  const backlog = await openBacklog(env['REDIS_URL']!);
  const before = await backlog.usedMemory();
  await backlog.fill(QUEUED, photos.selfie);
  const bytes = ((await backlog.usedMemory()) - before) / QUEUED - photos.selfie.length;
  await backlog.close();
  return [
    { name: 'Redis memory per queued check, beside its image', value: bytes / 1024, unit: 'KiB' },
  ];
};

const TTL_SECONDS = 600;
const AT_ONCE = 100;

/** A queue that is filled as a gateway fills it, while no worker takes anything. */
async function openBacklog(url: string) {
  const prefix = `{bench-${randomUUID()}}`;
  const keys = createKeys(prefix);
  const redis = connectForBackground({ url, name: 'bench' }, createLog('api', 'fatal'));
  await redis.ping();
  const images = createRedisImageStore({ redis, keys, ttlSeconds: TTL_SECONDS });
  const queue = createRedisCheckQueue({ redis, keys, resultTtlSeconds: TTL_SECONDS });
  return {
    prefix,
    /** With a gateway to reply to, a check is one that somebody waits for. */
    async fill(checks: number, image: Buffer, replyTo?: string) {
      for (let added = 0; added < checks; added += AT_ONCE) {
        await Promise.all(Array.from({ length: AT_ONCE }, () => add(image, replyTo)));
      }
    },
    async untilWaiting(most: number) {
      for (;;) {
        const waiting = await queue.countWaiting();
        if (waiting <= most) return { waiting, atMs: performance.now() };
        await sleep(10);
      }
    },
    /** Memory of the whole Redis, in bytes. */
    async usedMemory() {
      const info = await redis.info('memory');
      return Number(/^used_memory:(\d+)/m.exec(info)?.[1]);
    },
    async close() {
      await queue.close();
      redis.disconnect();
    },
  };

  async function add(image: Buffer, replyTo?: string): Promise<void> {
    const id = randomUUID();
    await images.put(id, image);
    const job = { version: JOB_VERSION, tenant: 'bench', imageBytes: image.length };
    await queue.add(id, { ...job, ...(replyTo !== undefined && { replyTo }) });
  }
}

const BACKLOG = 300;
const CALLERS = 4;
const WARM_UP_SECONDS = 5;

/** A gateway that is none: a check with its address is taken for one that somebody waits for. */
const NOBODY = 'nobody';

const NO_OP = { batch: 16, runMs: 0, itemMs: 0 };
const DRAINED = 6000;

/** Callers who wait, beside a backlog of checks that nobody waits for: what do turns change? */
export const measureTurns: Part = async (bench, say) => {
  const { rounds } = bench;
  const behind = await interleave<string, Rate>(rounds, {
    'no backlog': () => callBeside(bench, 0),
    'one queue for all': () => callBeside(bench, BACKLOG, NOBODY),
    'waiting callers first': () => callBeside(bench, BACKLOG),
  });
  const at = (name: string, share: number) =>
    median(behind[name]!.map(({ latenciesMs }) => percentile(latenciesMs, share)));
  const lines = Object.keys(behind).map((name) => [
    name,
    ...[at(name, 0.5), at(name, 0.95)].map(formatNumber),
  ]);
  say(
    formatTable([`${CALLERS} callers, ${BACKLOG} checks before them`, 'p50 ms', 'p95 ms'], lines),
  );
  const drained = await interleave<string, number>(rounds, {
    plain: () => drainBacklog(bench, { ...NO_OP, replyTo: NOBODY }, DRAINED),
    yielding: () => drainBacklog(bench, NO_OP, DRAINED),
  });
  return [
    {
      name: `p95 of ${CALLERS} callers beside ${BACKLOG} async checks, with turns / without`,
      value: at('waiting callers first', 0.95) / at('one queue for all', 0.95),
      unit: 'x',
      aim: { atMost: 0.2 },
    },
    {
      name: 'jobs/s of async checks, no-op engine, with turns / without',
      value: medianRatio(drained['yielding']!, drained['plain']!),
      unit: 'x',
      aim: { atLeast: 0.95 },
    },
  ];
};

/** What callers meet from the moment on when that many checks wait already. */
async function callBeside(bench: Bench, checks: number, replyTo?: string): Promise<Rate> {
  const backlog = await openBacklog(bench.env['REDIS_URL']!);
  const product = await startProduct(bench, { env: { LIVEGATE_KEY_PREFIX: backlog.prefix } });
  try {
    const load = { image: bench.photos.selfie, connections: CALLERS, seconds: WARM_UP_SECONDS };
    await sendLoad(product.urls[0]!, load);
    await backlog.fill(checks, load.image, replyTo);
    const rate = await sendLoad(product.urls[0]!, { ...load, seconds: bench.seconds });
    await backlog.untilWaiting(0);
    return rate;
  } finally {
    await product.stop();
    await backlog.close();
  }
}
