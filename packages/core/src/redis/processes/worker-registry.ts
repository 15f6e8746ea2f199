import type { WorkerFacts } from '../../domain/models.js';
import { REGISTRATION_TTL_SECONDS, type WorkerRegistry } from '../../ports.js';
import { reachRedis, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';

/**
 * One key with a TTL for each worker, so that only the clock of Redis decides which workers are
 * alive, and a set of their ids, so that a list needs no SCAN.
 */
export function createRedisWorkerRegistry(redis: Redis, keys: Keys): WorkerRegistry {
  return {
    async register(facts) {
      await reachRedis(() =>
        Promise.all([
          redis.set(keys.worker(facts.id), JSON.stringify(facts), 'EX', REGISTRATION_TTL_SECONDS),
          redis.sadd(keys.workers, facts.id),
        ]),
      );
    },
    async unregister(id) {
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
  const registrations = await redis.mget(ids.map(keys.worker));
  const expired = ids.filter((_, index) => registrations[index] === null);
  if (expired.length > 0) await redis.srem(keys.workers, ...expired);
  return registrations.filter((registration) => registration !== null).map(readRegistration);
}

/** Workers of the first release register no job versions: they read version 1. */
function readRegistration(registration: string): WorkerFacts {
  const facts = JSON.parse(registration) as WorkerFacts | Omit<WorkerFacts, 'jobVersions'>;
  return { jobVersions: [1], ...facts };
}
