import { createHash, randomUUID } from 'node:crypto';
import {
  type CheckResult,
  createDelivery,
  createWebhookSecret,
  type Delivery,
  JOB_VERSION,
  recordAttempt,
} from '@livegate/core/domain';
import {
  connectForBackground,
  createKeys,
  createRedisCheckQueue,
  createRedisIdempotencyKeys,
  createRedisWebhookQueue,
  createRedisWebhookStore,
  type Keys,
  readMemory,
  type Redis,
} from '@livegate/core/redis';
import { createLog, type Log } from '@livegate/core/telemetry';
import { takeJobs } from '@livegate/worker/jobs/take-jobs';
import type { Part } from '../bench.js';

const RECORDS = 5000;
const AT_ONCE = 100;
const TTL_SECONDS = 86_400;

/** What finished checks and their deliveries take in Redis, for as long as they are kept. */
export const measureRecords: Part = async ({ env }) => {
  const log = createLog('api', 'fatal');
  const redis = connectForBackground({ url: env['REDIS_URL']!, name: 'bench' }, log);
  const keys = createKeys(`{bench-${randomUUID()}}`);
  const checks = openChecks({ redis, keys, log });
  const deliveries = await openDeliveries(redis, keys);

  /** Of many records; those before them have opened what is there only once. */
  const costOf = async (name: string, addOne: () => Promise<void>) => {
    await addMany(addOne);
    const before = await readMemory(redis);
    await addMany(addOne);
    const { usedBytes } = await readMemory(redis);
    const value = (usedBytes - before.usedBytes) / RECORDS / 1024;
    return { name: `Redis memory per ${name}`, value, unit: 'KiB' };
  };
  async function addMany(addOne: () => Promise<void>): Promise<void> {
    for (let added = 0; added < RECORDS; added += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, addOne));
    }
    await checks.untilFinished();
  }

  const figures = [
    await costOf('finished check', () => checks.add(randomUUID())),
    await costOf('finished check with an Idempotency-Key', checks.addKeyed),
    await costOf('pending delivery', () => deliveries.add(1)),
    await costOf('pending delivery after 9 attempts', () => deliveries.add(9)),
  ];
  await checks.close();
  await deliveries.close();
  redis.disconnect();
  return figures;
};

function openChecks({ redis, keys, log }: { redis: Redis; keys: Keys; log: Log }) {
  const lives = { imageTtlSeconds: TTL_SECONDS, resultTtlSeconds: TTL_SECONDS };
  const queue = createRedisCheckQueue({ redis, keys, ...lives });
  const idempotencyKeys = createRedisIdempotencyKeys({ redis, keys, ...lives });
  const worker = takeJobs(
    { ...lives, redis, keys, concurrency: AT_ONCE, jobVersions: [JOB_VERSION], log },
    {
      checkImage: async () => result,
      announce: async () => undefined,
      finish: async () => 'kept',
      forget: async () => undefined,
    },
  );
  const add = (id: string, key = {}) =>
    queue.add(id, { version: JOB_VERSION, tenant: 'bench', replyTo: id, imageBytes: 1e5, ...key });

  return {
    add,
    async addKeyed() {
      const [id, keySha256] = [randomUUID(), hash(randomUUID())];
      await idempotencyKeys.claim({ tenant: 'bench', keySha256 }, { id, imageSha256: hash(id) });
      await add(id, { keySha256 });
    },
    async untilFinished() {
      for (let open = 1; open > 0;) {
        const counts = await queue.bullQueue.getJobCounts('waiting', 'active');
        open = (counts['waiting'] ?? 0) + (counts['active'] ?? 0);
      }
      await queue.dropEvents();
    },
    async close() {
      await worker.close();
      await queue.close();
    },
  };
}

async function openDeliveries(redis: Redis, keys: Keys) {
  const store = createRedisWebhookStore(redis, keys);
  const queue = createRedisWebhookQueue(redis, keys);
  const endpoint = { id: `whe_${'0'.repeat(32)}`, tenant: 'bench', url: 'https://example.com/' };
  const secrets = [createWebhookSecret()];
  await store.addEndpoint({ ...endpoint, events: [], enabled: true, createdAt: 0, secrets }, 1);
  return {
    async add(attempts: number) {
      const delivery = describeDelivery(endpoint.id);
      await store.addDelivery(delivery);
      for (let n = 0; n < attempts; n++) await store.updateDelivery(delivery.id, fail);
      await queue.deliver(delivery);
    },
    close: () => queue.close(),
  };
}

const hash = (text: string) => createHash('sha256').update(text).digest('hex');

const result: CheckResult = {
  verdict: { status: 'success', result: { spoof_percentage: 0.02611, status: 'LOW' } },
  model: 'fr-detect/0.0.1+01234567, fr-liveness/0.0.1+89abcdef',
  timings: { decodeMs: 6.5, detectMs: 3.8, classifyMs: 22.1, workerMs: 33.2 },
};

/** By a receiver whose answer is a page. */
const fail = (delivery: Delivery) =>
  recordAttempt(
    delivery,
    { at: Date.now(), latencyMs: 120, statusCode: 502, responseExcerpt: 'x'.repeat(1024) },
    0,
  );

function describeDelivery(endpointId: string): Delivery {
  const id = randomUUID();
  const time = new Date().toISOString();
  const links = { self: `https://liveness.example.com/v1/jobs/${id}` };
  const times = { created_at: time, started_at: time, finished_at: time };
  const data = { id, status: 'succeeded', ...times, result: result.verdict, links };
  const type = 'passive_liveness.completed';
  return createDelivery({
    id: `msg_${hash(id).slice(0, 32)}`,
    tenant: 'bench',
    target: { endpointId },
    type,
    payload: JSON.stringify({ type, timestamp: time, data }),
    createdAt: Date.now(),
  });
}
