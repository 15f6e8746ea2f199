import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connectForBackground,
  createKeys,
  createLog,
  createRedisCheckQueue,
  createRedisImageStore,
  SCHEMA_VERSION,
} from '@livegate/core';
import { stopServices } from '../services.js';
import type { Bench, Part } from './bench.js';
import { makeGreySquare } from './photos.js';
import { startWatched } from './product.js';

const RUN_MS = 4;
const ITEM_MS = 0.25;
const BATCHES = [1, 2, 4, 8, 16];
/** Left out at both ends, where the worker starts and where batches are no longer full. */
const EDGE_SHARE = 0.15;

/** Can the queue keep an engine busy that is far faster than a CPU? */
export const measureGpuLike: Part = async (bench) => {
  const figures = [];
  for (const batch of BATCHES) {
    const ideal = (1000 * batch) / (RUN_MS + ITEM_MS * batch);
    const rate = await drainBacklog(bench, batch, Math.round(ideal * 2 * bench.seconds));
    const name = `GPU-like engine, batch ${batch}: share of its ${ideal.toFixed(0)}/s`;
    figures.push({ name, value: rate / ideal, unit: '', aim: { atLeast: 0.95 } });
  }
  return figures;
};

/** Checks per second out of a queue that is full before the worker starts. */
async function drainBacklog(bench: Bench, batch: number, checks: number): Promise<number> {
  const prefix = `{bench-${randomUUID()}}`;
  const backlog = await openBacklog(bench.env['REDIS_URL']!, prefix);
  const image = await makeGreySquare();
  for (let added = 0; added < checks; added += 100) {
    await Promise.all(Array.from({ length: 100 }, () => backlog.add(image)));
  }
  const env = { ...bench.env, LIVEGATE_KEY_PREFIX: prefix };
  const args = [`${batch}`, `${RUN_MS}`, `${ITEM_MS}`];
  const worker = startWatched(['scripts/dist/bench/double-worker.js', ...args], env);
  const from = await backlog.untilWaiting((1 - EDGE_SHARE) * checks);
  const to = await backlog.untilWaiting(EDGE_SHARE * checks);
  await backlog.untilWaiting(0);
  await stopServices([worker], 20_000);
  await backlog.close();
  return (1000 * (from.waiting - to.waiting)) / (to.atMs - from.atMs);
}

async function openBacklog(url: string, prefix: string) {
  const log = createLog('api', 'fatal');
  const keys = createKeys(prefix);
  const redis = connectForBackground({ url, name: 'bench' }, log);
  await redis.ping();
  const images = createRedisImageStore({ redis, keys, lifeSeconds: 600 });
  const queue = createRedisCheckQueue({ redis, keys, resultLifeSeconds: 600 });
  return {
    async add(image: Buffer) {
      const id = randomUUID();
      await images.put(id, image);
      await queue.add(id, { version: SCHEMA_VERSION, tenant: 'bench', imageBytes: image.length });
    },
    async untilWaiting(most: number) {
      for (;;) {
        const waiting = await queue.countWaiting();
        if (waiting <= most) return { waiting, atMs: performance.now() };
        await sleep(10);
      }
    },
    async close() {
      await queue.close();
      redis.disconnect();
    },
  };
}
