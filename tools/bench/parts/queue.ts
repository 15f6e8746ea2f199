import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { developmentCredential } from '@livegate/api/credentials/credential-book';
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
import { makeGreySquare } from '../photos.js';
import { sendLoad, startProduct, startWatched } from '../product.js';
import { interleave, median, medianRatio, percentile, type Rate } from '../rounds.js';

const RUN_MS = 4;
const ITEM_MS = 0.25;
const BATCHES = [1, 4, 8, 16];
/** Share of checks ignored at the start, when the worker starts, and at the end, when batches are not full. */
const EDGE_SHARE = 0.15;

/** Measures whether the queue can keep an engine busy that is far faster than a CPU. */
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

/** Checks per second of a worker that starts with a full queue. */
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

/** Measures the Redis memory of a waiting check without the bytes of its image. */
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

/** A queue that is filled like a gateway fills it, without a worker. */
async function openBacklog(url: string) {
  const prefix = `{bench-${randomUUID()}}`;
  const keys = createKeys(prefix);
  const redis = connectForBackground({ url, name: 'bench' }, createLog('api', 'fatal'));
  await redis.ping();
  const images = createRedisImageStore({ redis, keys, ttlSeconds: TTL_SECONDS });
  const queue = createRedisCheckQueue({ redis, keys, resultTtlSeconds: TTL_SECONDS });
  return {
    prefix,
    /** With `replyTo`, the checks count as having a waiting caller. */
    async fill(checks: number, image: Buffer, replyTo?: string) {
      for (let added = 0; added < checks; added += AT_ONCE) {
        await Promise.all(Array.from({ length: AT_ONCE }, () => add(image, replyTo)));
      }
    },
    async untilWaiting(maxWaiting: number) {
      for (;;) {
        const waiting = await queue.countWaiting();
        if (waiting <= maxWaiting) return { waiting, atMs: performance.now() };
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

  /** Of the tenant of all callers: those of another one would share the workers with them. */
  async function add(image: Buffer, replyTo?: string): Promise<void> {
    const id = randomUUID();
    await images.put(id, image);
    const { tenant } = developmentCredential;
    const job = { version: JOB_VERSION, tenant, imageBytes: image.length };
    await queue.add(id, { ...job, ...(replyTo !== undefined && { replyTo }) });
  }
}

const BACKLOG = 300;
const CALLERS = 4;
const WARM_UP_SECONDS = 5;

/** A gateway that does not exist: a check with this address counts as having a waiting caller. */
const ABSENT_GATEWAY = 'absent';

const NO_OP = { batch: 16, runMs: 0, itemMs: 0 };
const DRAINED = 6000;

/** Measures what priorities change for waiting callers while there is a backlog of async checks. */
export const measurePriorities: Part = async (bench, say) => {
  const { rounds } = bench;
  const behind = await interleave<string, Rate>(rounds, {
    'no backlog': () => callBeside(bench, 0),
    'one queue for all': () => callBeside(bench, BACKLOG, ABSENT_GATEWAY),
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
    plain: () => drainBacklog(bench, { ...NO_OP, replyTo: ABSENT_GATEWAY }, DRAINED),
    yielding: () => drainBacklog(bench, NO_OP, DRAINED),
  });
  return [
    {
      name: `p95 of ${CALLERS} callers beside ${BACKLOG} async checks, with priorities / without`,
      value: at('waiting callers first', 0.95) / at('one queue for all', 0.95),
      unit: 'x',
      aim: { atMost: 0.2 },
    },
    {
      name: 'jobs/s of async checks, no-op engine, with priorities / without',
      value: medianRatio(drained['yielding']!, drained['plain']!),
      unit: 'x',
      aim: { atLeast: 0.95 },
    },
  ];
};

/** The rate of waiting callers from the moment at which `checks` are in the queue. */
async function callBeside(bench: Bench, checks: number, replyTo?: string): Promise<Rate> {
  const backlog = await openBacklog(bench.env['REDIS_URL']!);
  // No caller is refused because of the backlog.
  const env = { LIVEGATE_KEY_PREFIX: backlog.prefix, LIVEGATE_MAX_QUEUE_WAIT_MS: '60000' };
  const product = await startProduct(bench, { env });
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
