import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connectForBackground,
  createKeys,
  createLog,
  createRedisCheckQueue,
  createRedisImageStore,
  JOB_VERSION,
} from '@livegate/core';

const LIFE_SECONDS = 600;
const AT_ONCE = 100;

export type Backlog = Awaited<ReturnType<typeof openBacklog>>;

/** A queue that is filled as a gateway fills it, while no worker takes anything. */
export async function openBacklog(url: string) {
  const prefix = `{bench-${randomUUID()}}`;
  const keys = createKeys(prefix);
  const redis = connectForBackground({ url, name: 'bench' }, createLog('api', 'fatal'));
  await redis.ping();
  const images = createRedisImageStore({ redis, keys, lifeSeconds: LIFE_SECONDS });
  const queue = createRedisCheckQueue({ redis, keys, resultLifeSeconds: LIFE_SECONDS });
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
