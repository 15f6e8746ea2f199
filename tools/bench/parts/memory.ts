import { createHash, randomUUID } from 'node:crypto';
import {
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
  writeResult,
  type Keys,
  readState,
  type Redis,
} from '@livegate/core/redis';
import { createLog, type Log } from '@livegate/core/telemetry';
import { takeJobs } from '@livegate/worker/jobs/take-jobs';
import { formatTable } from '../../format-table.js';
import { type Part, formatNumber, type Figure } from '../bench.js';
import { makeGreySquare } from '../photos.js';
import { typicalResult } from '../typical-result.js';
import { readUsage, sendBurst, sendLoad, startProduct } from '../product.js';

const IMAGES = 20_000;
const SECONDS_PER_SAMPLE = 20;
const MIB = 2 ** 20;
const UPLOADS = { count: 200, bytes: 5 * MIB, budgetMiB: 256 };

/** Measures whether memory grows over 20,000 images. The first fifth of the samples is warm-up. */
export const measureMemory: Part = async (bench, say) => {
  const product = await startProduct(bench);
  const samples: { images: number; api: number; worker: number }[] = [];
  try {
    const image = bench.photos.closeUp;
    const load = { image, connections: 16, seconds: SECONDS_PER_SAMPLE, mayRefuse: true };
    for (let sent = 0; sent < IMAGES;) {
      sent += (await sendLoad(product.urls[0]!, load)).latenciesMs.length;
      const api = await readUsage(product.gateways[0]!);
      const worker = await readUsage(product.worker);
      samples.push({ images: sent, api: api.rssMiB, worker: worker.rssMiB });
    }
    const lines = samples.map((at) => [at.images, at.api, at.worker].map(formatNumber));
    say(formatTable(['images', 'api MiB', 'worker MiB'], lines));
    return (['api', 'worker'] as const).map((app) =>
      growth(
        app,
        samples.slice(Math.ceil(samples.length / 5)).map((at) => at[app]),
      ),
    );
  } finally {
    await product.stop();
  }
};

/** The mean of the last three samples relative to that of the first three after the warm-up. */
function growth(app: string, rssMiB: number[]): Figure {
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  const value = mean(rssMiB.slice(-3)) / mean(rssMiB.slice(0, 3));
  return { name: `${app}'s memory, end / after warm-up`, value, unit: 'x', aim: { atMost: 1.1 } };
}

/** Measures the memory for a burst of large uploads relative to the configured budget. */
export const measureUploads: Part = async (bench, say) => {
  const budget = { LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT: `${UPLOADS.budgetMiB * MIB}` };
  const product = await startProduct(bench, { env: budget });
  try {
    const image = await makeGreySquare(UPLOADS.bytes);
    const [url, gateway] = [product.urls[0]!, product.gateways[0]!];
    await sendBurst(url, image, 1);
    const idle = await readUsage(gateway, 'watch');
    const { count } = UPLOADS;
    const statuses = await sendBurst(url, image, count);
    const { peakRssMiB } = await readUsage(gateway);
    const answers = [...statuses].map(([status, times]) => `${times} x ${status}`);
    say(`  ${count} uploads of 5 MiB at once: ${answers.join(', ')}`);
    const name = `${count} x 5 MiB at once: memory taken / upload budget`;
    const value = (peakRssMiB - idle.rssMiB) / UPLOADS.budgetMiB;
    return [{ name, value, unit: 'x', aim: { atMost: 2 } }];
  } finally {
    await product.stop();
  }
};

const RECORDS = 5000;
const AT_ONCE = 100;
const TTL_SECONDS = 86_400;

/** Measures the Redis memory of finished checks and webhook deliveries. */
export const measureRecords: Part = async ({ env }) => {
  const log = createLog('api', 'fatal');
  const redis = connectForBackground({ url: env['REDIS_URL']!, name: 'bench' }, log);
  const keys = createKeys(`{bench-${randomUUID()}}`);
  const checks = openChecks({ redis, keys, log });
  const deliveries = await openDeliveries(redis, keys);

  /** Measures the second of two equal sets of records, so that one-time allocations do not count. */
  const costOf = async (name: string, addOne: () => Promise<void>) => {
    await addMany(addOne);
    const before = await readState(redis);
    await addMany(addOne);
    const { usedBytes } = await readState(redis);
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
  const ttls = { imageTtlSeconds: TTL_SECONDS, resultTtlSeconds: TTL_SECONDS };
  const queue = createRedisCheckQueue({ redis, keys, ...ttls });
  const idempotencyKeys = createRedisIdempotencyKeys({ redis, keys, ...ttls });
  const worker = takeJobs(
    { ...ttls, redis, keys, concurrency: AT_ONCE, jobVersions: [JOB_VERSION], log },
    {
      checkImage: async () => typicalResult,
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
        const counts = await queue.bullQueue.getJobCounts('waiting', 'prioritized', 'active');
        open = (counts['waiting'] ?? 0) + (counts['prioritized'] ?? 0) + (counts['active'] ?? 0);
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

/** A failed attempt with a response excerpt of the maximal length. */
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
  const { verdict } = writeResult(typicalResult);
  const data = { id, status: 'succeeded', ...times, result: verdict, links };
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
