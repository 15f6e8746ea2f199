import type { Redis } from './connect.js';
import type { WorkerFacts } from '../domain/models.js';
import type { WorkerRegistry } from '../ports.js';
import type { Keys } from './keys.js';
import { reachRedis } from './translate-errors.js';

/** A worker that has not announced itself for so long is taken for dead. */
export const HEARTBEAT_LIFE_SECONDS = 6;

/**
 * One expiring key per worker, so that Redis's clock alone decides who is alive, and one set of
 * ids to find them by without a SCAN.
 */
export function createRedisWorkerRegistry(redis: Redis, keys: Keys): WorkerRegistry {
  return {
    async announce(facts) {
      await reachRedis(() =>
        Promise.all([
          redis.set(keys.worker(facts.id), JSON.stringify(facts), 'EX', HEARTBEAT_LIFE_SECONDS),
          redis.sadd(keys.workers, facts.id),
        ]),
      );
    },
    async withdraw(id) {
      await reachRedis(() =>
        Promise.all([redis.unlink(keys.worker(id)), redis.srem(keys.workers, id)]),
      );
    },
    list: () => reachRedis(() => listWorkers(redis, keys)),
  };
}

async function listWorkers(redis: Redis, keys: Keys): Promise<WorkerFacts[]> {
  const ids = await redis.smembers(keys.workers);
  if (ids.length === 0) return [];
  const announcements = await redis.mget(ids.map(keys.worker));
  const lapsed = ids.filter((_, index) => announcements[index] === null);
  if (lapsed.length > 0) await redis.srem(keys.workers, ...lapsed);
  return announcements.filter((announcement) => announcement !== null).map(readAnnouncement);
}

/** The first workers did not say what they read, as there was one version only. */
function readAnnouncement(announcement: string): WorkerFacts {
  const facts = JSON.parse(announcement) as WorkerFacts | Omit<WorkerFacts, 'jobVersions'>;
  return { jobVersions: [1], ...facts };
}
