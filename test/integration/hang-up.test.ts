import { createLeases, createWebhookSecret, JOB_VERSION } from '@livegate/core/domain';
import {
  createRedisCancellations,
  createRedisCheckQueue,
  createRedisIdempotencyKeys,
  createRedisImageStore,
  createRedisReplyInbox,
} from '@livegate/core/redis';
import {
  createFakeDemands,
  exampleWorker,
  exampleQuality,
  noLargeImages,
  noShadow,
} from '@livegate/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createAwaitCheck } from '../../apps/api/src/checks/await-check.js';
import { createCancelAndDelete } from '../../apps/api/src/checks/end-check.js';
import { createClaimKey } from '../../apps/api/src/checks/claim-key.js';
import { createSubmitCheck } from '../../apps/api/src/checks/submit-check.js';
import { developmentCredential } from '../../apps/api/src/credentials/credential-book.js';
import { createCheckImage } from '../../apps/worker/src/jobs/check-image.js';
import { takeJobs } from '../../apps/worker/src/jobs/take-jobs.js';
import { startGateway } from '@livegate/testing/gateway/gateway';
import { connectRaw, head } from '@livegate/testing/gateway/raw-http';
import { greySquare } from '@livegate/testing/images/photos';
import { connectWorker, openSandbox, silentLog } from '@livegate/testing/redis/sandbox';

const { jpeg } = await greySquare();
const { tenant } = developmentCredential;
const pollOptions = { timeout: 10_000, interval: 5 };

type Client = ReturnType<typeof connectRaw>;
type Gateway = Awaited<ReturnType<typeof startGateway>>;

const endings: [string, (client: Client) => void][] = [
  ['FIN', (client) => client.destroy()],
  ['a half-close', (client) => client.hangUp()],
  ['RST', (client) => client.reset()],
];

/** Submits a check and resolves once it is queued. */
async function startWaiting(gateway: Gateway, headers: string[] = [], members: object = {}) {
  const json = JSON.stringify({ image: jpeg.toString('base64'), ...members });
  const client = connectRaw(gateway.port);
  onTestFinished(client.destroy);
  client.send(
    head('Content-Type: application/json', `Content-Length: ${json.length}`, ...headers),
    json,
  );
  await expect.poll(() => gateway.queue.jobs.size, pollOptions).toBeGreaterThan(0);
  const [id = ''] = gateway.queue.jobs.keys();
  return { client, id };
}

describe('a caller who hangs up while waiting', () => {
  it.each(endings)('cancels the check and deletes its image: %s', async (_name, end) => {
    const gateway = await startGateway({ outcome: 'never' });
    const { client, id } = await startWaiting(gateway);
    end(client);
    const status = async () => (await gateway.queue.read(id))?.status;
    await expect.poll(status, pollOptions).toBe('canceled');
    await expect.poll(() => gateway.imageStore.get([id]), pollOptions).toEqual([undefined]);
  });

  it('cancels the check even with respond-async', async () => {
    const gateway = await startGateway({ outcome: 'never' });
    const { client, id } = await startWaiting(gateway, ['Prefer: respond-async, wait=9']);
    client.destroy();
    const status = async () => (await gateway.queue.read(id))?.status;
    await expect.poll(status, pollOptions).toBe('canceled');
  });

  it.each<[string, (gateway: Gateway) => ReturnType<typeof startWaiting>]>([
    ['an Idempotency-Key', (gateway) => startWaiting(gateway, ['Idempotency-Key: a'])],
    [
      'a webhook_url',
      async (gateway) => {
        await gateway.webhookStore.updateTenantSecrets(tenant, () => [createWebhookSecret()]);
        return startWaiting(gateway, [], { webhook_url: 'https://example.com' });
      },
    ],
    [
      'an enabled endpoint of its tenant',
      async (gateway) => {
        await addEndpoint(gateway, true);
        return startWaiting(gateway);
      },
    ],
  ])('does not cancel a check with %s', async (_name, begin) => {
    const gateway = await startGateway({ outcome: 'never' });
    const { client, id } = await begin(gateway);
    client.destroy();
    await expect.poll(() => gateway.leases.held().reply_waiter, pollOptions).toBe(0);
    await expect.poll(gateway.countConnections, pollOptions).toBe(0);
    expect(await gateway.queue.read(id)).toMatchObject({ status: 'queued' });
    expect(await gateway.imageStore.get([id])).not.toEqual([undefined]);
  });

  it('cancels the check of a tenant whose endpoints are all disabled', async () => {
    const gateway = await startGateway({ outcome: 'never' });
    await addEndpoint(gateway, false);
    const { client, id } = await startWaiting(gateway);
    client.destroy();
    const status = async () => (await gateway.queue.read(id))?.status;
    await expect.poll(status, pollOptions).toBe('canceled');
  });

  it('gets 503, not 504, if Redis cannot be reached when the wait runs out', async () => {
    const gateway = await startGateway({ outcome: 'never', waitLimitMs: 500 });
    const { client } = await startWaiting(gateway);
    gateway.outage.away = true;
    expect(await client.next()).toMatchObject({ status: 503 });
  });

  it('does not cancel a check whose wait had already run out', async () => {
    const gateway = await startGateway({ outcome: 'never', waitLimitMs: 1 });
    const { client, id } = await startWaiting(gateway);
    expect(await client.next()).toMatchObject({ status: 504 });
    client.destroy();
    await expect.poll(gateway.countConnections, pollOptions).toBe(0);
    expect(await gateway.queue.read(id)).toMatchObject({ status: 'queued' });
  });
});

it('a queued check in Redis whose caller hangs up never runs, and its image is deleted', async () => {
  const sandbox = await openSandbox();
  const blockingRedis = connectWorker('replies');
  const leases = createLeases();
  const queue = createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });
  const imageStore = createRedisImageStore({ ...sandbox, ttlSeconds: 60 });
  const replies = createRedisReplyInbox({
    ...sandbox,
    blockingRedis,
    gatewayId: 'a',
    leases,
    log: silentLog,
  });
  const redis = connectWorker();
  onTestFinished(async () => {
    await replies.close();
    await queue.close();
    redis.disconnect();
    await sandbox.close();
  });
  const idempotencyKeys = createRedisIdempotencyKeys({ ...sandbox, resultTtlSeconds: 60 });
  const webhooks = { announce: async () => undefined, delete: async () => undefined };
  const submitCheck = createSubmitCheck({
    imageStore,
    queue,
    replies,
    idempotencyKeys,
    claimKey: createClaimKey({ idempotencyKeys, queue }),
    awaitCheck: createAwaitCheck({ queue, replies }),
    cancelCheck: createCancelAndDelete({ queue, imageStore, idempotencyKeys, webhooks })
      .cancelCheck,
    hasEndpoints: async () => false,
  });
  const takeRank = async () => ({ rank: 1 });
  const submission = { tenant, image: jpeg, isAwaited: true, takeRank, baseUrl: '' };
  const [left, kept] = [
    await submitCheck({ ...submission, id: 'left' }),
    await submitCheck({ ...submission, id: 'kept', idempotencyKey: 'a' }),
  ];
  const gone = { waitMs: 9000, closed: AbortSignal.abort() };
  for (const check of [left, kept]) {
    expect(await check.awaitOutcome(gone)).toBeUndefined();
    await check.abandon();
    check[Symbol.dispose]();
  }
  expect(leases.held()).toEqual(createLeases().held());
  const images = await imageStore.get(['left', 'kept']);
  expect(images.map((image) => (image as Uint8Array | undefined)?.length)).toEqual([
    undefined,
    jpeg.length,
  ]);

  let runs = 0;
  const cancellations = createRedisCancellations({ ...sandbox, resultTtlSeconds: 60 });
  const checkImage = createCheckImage({
    imageStore,
    cancellations,
    demands: createFakeDemands(cancellations),
    scheduler: {
      large: noLargeImages,
      concurrency: 1,
      shadow: noShadow,
      async assess() {
        runs += 1;
        return {
          assessment: {
            kind: 'scored',
            spoofProbability: 0.1,
            logit: 0,
            views: [],
            rotation: 0,
            quality: exampleQuality,
          },
          modelSet: exampleWorker,
          timings: { decodeMs: 1, detectMs: 1, classifyMs: 1 },
        };
      },
    },
    audit: { record: async () => undefined },
  });
  const lives = { imageTtlSeconds: 60, resultTtlSeconds: 60 };
  const options = { ...lives, concurrency: 1, jobVersions: [JOB_VERSION], log: silentLog };
  const jobs = takeJobs(
    { ...options, redis, keys: sandbox.keys },
    {
      checkImage,
      announce: async () => undefined,
      finish: async () => 'kept',
      forget: async () => undefined,
    },
  );
  onTestFinished(() => jobs.close());
  await expect.poll(async () => (await queue.read('kept'))?.status).toBe('succeeded');
  expect(await queue.read('left')).toMatchObject({ status: 'canceled' });
  expect(runs).toBe(1);
});

async function addEndpoint({ webhookStore }: Gateway, enabled: boolean) {
  await webhookStore.addEndpoint(
    {
      id: 'whe_1',
      tenant,
      url: 'https://example.com',
      events: ['passive_liveness.completed'],
      enabled,
      createdAt: 0,
      secrets: [createWebhookSecret()],
    },
    16,
  );
}
