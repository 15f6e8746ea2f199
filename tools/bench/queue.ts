import { stopServices } from '../dev/processes.js';
import { openBacklog } from './backlog.js';
import type { Bench, Part } from './bench.js';
import { makeGreySquare } from './photos.js';
import { startWatched } from './product.js';

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

export interface DoubleEngine {
  batch: number;
  runMs: number;
  itemMs: number;
  /** See `Backlog`. */
  replyTo?: string;
}

/** Checks per second out of a queue that is full before the worker starts. */
export async function drainBacklog(
  bench: Bench,
  { batch, runMs, itemMs, replyTo }: DoubleEngine,
  checks: number,
): Promise<number> {
  const backlog = await openBacklog(bench.env['REDIS_URL']!);
  await backlog.fill(checks, await makeGreySquare(), replyTo);
  const args = [`${batch}`, `${runMs}`, `${itemMs}`];
  const worker = startWatched(['tools/dist/bench/double-worker.js', ...args], {
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
