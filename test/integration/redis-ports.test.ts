import { randomUUID } from 'node:crypto';
import { type CheckOutcome, createLeases } from '@livegate/core/domain';
import { CHECK_QUEUE } from '@livegate/core/ports';
import {
  createRedisCancellations,
  createRedisCheckQueue,
  createRedisCredentialUse,
  createRedisDemands,
  createRedisGatewayRegistry,
  createRedisIdempotencyKeys,
  createImageCipher,
  createRedisImageStore,
  createRedisRateLimiter,
  createRedisReplyInbox,
  createRedisReplyOutbox,
  createRedisSessionStore,
  createRedisWorkerRegistry,
  writeResult,
  listServers,
  watchSettings,
} from '@livegate/core/redis';
import {
  describeCheckQueue,
  describeDemands,
  describeIdempotencyKeys,
  describeImageStore,
  describeRateLimiter,
  describeReplies,
  describeSessionStore,
  describeWorkerRegistry,
  exampleJob,
  exampleResult,
  exampleSession,
  exampleWorker,
} from '@livegate/testing';
import { type Job, UnrecoverableError, Worker } from 'bullmq';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  connectWorker,
  findKeys,
  openSandbox,
  type Sandbox,
  serversOf,
  silentLog,
} from '@livegate/testing/redis/sandbox';

it('the last use of a credential is written at most once a minute', async () => {
  const sandbox = await openSandbox();
  onTestFinished(() => sandbox.close());
  const clock = { now: Date.parse('2026-11-26T10:00:00Z') };
  const set = vi.spyOn(sandbox.redis, 'set');
  const use = createRedisCredentialUse(sandbox.redis, sandbox.keys, () => clock.now);
  for (const seconds of [0, 1, 58, 1]) {
    clock.now += seconds * 1000;
    use.record('acme-1');
  }
  expect(set).toHaveBeenCalledTimes(2);
  await Promise.all(set.mock.results.map(({ value }) => value));
  expect(await use.read(['acme-1', 'unused'])).toEqual(['2026-11-26T10:01:00.000Z', undefined]);
  expect(await sandbox.redis.ttl(sandbox.keys.credentialUse('acme-1'))).toBeGreaterThan(86_400);
});

const imageKey = { id: 'one', key: Buffer.alloc(32, 7) };
const imageKeys = { current: () => imageKey, find: () => imageKey };

describe('the Redis adapters fulfill the contracts of the ports', () => {
  describeImageStore(async () => {
    const sandbox = await openSandbox();
    return { port: createRedisImageStore({ ...sandbox, ttlSeconds: 60 }), close: sandbox.close };
  });

  describeImageStore(async () => {
    const sandbox = await openSandbox();
    const cipher = createImageCipher({ keys: imageKeys, requireEncrypted: true });
    const port = createRedisImageStore({ ...sandbox, ttlSeconds: 60, cipher });
    return { port, close: sandbox.close };
  });

  describeCheckQueue(async () => {
    const sandbox = await openSandbox();
    const queue = createQueue(sandbox);
    const worker = createManualWorker(sandbox);
    return {
      port: {
        ...queue,
        ...worker,
        ...createRedisCancellations({ ...sandbox, resultTtlSeconds: 60 }),
      },
      async close() {
        await worker.close();
        await queue.close();
        await sandbox.close();
      },
    };
  });

  describeDemands(async () => {
    const sandbox = await openSandbox();
    const { redis, keys, close } = sandbox;
    await redis.hset(keys.webhookEndpoints('notified'), 'whe_1', '{}');
    return {
      port: {
        demands: createRedisDemands(redis, keys, { awayMs: 50 }),
        gateways: createRedisGatewayRegistry(redis, keys),
        mark: (id, cancellation) => redis.set(keys.cancellation(id), cancellation),
        notified: 'notified',
      },
      close,
    };
  });

  describeIdempotencyKeys(async () => {
    const sandbox = await openSandbox();
    const port = createRedisIdempotencyKeys({ ...sandbox, resultTtlSeconds: 60 });
    return { port, close: sandbox.close };
  });

  describeReplies(async () => {
    const sandbox = await openSandbox();
    const leases = createLeases();
    await sandbox.redis.hset(sandbox.keys.webhookEndpoints('notified'), 'whe_1', '{}');
    return {
      port: {
        notified: 'notified',
        createInbox: (gatewayId) => createInbox(sandbox, gatewayId, leases),
        leases,
        outbox: createRedisReplyOutbox({ ...sandbox, resultTtlSeconds: 60 }),
        mark: (id, cancellation) => sandbox.redis.set(sandbox.keys.cancellation(id), cancellation),
      },
      close: sandbox.close,
    };
  });

  describeWorkerRegistry(async () => {
    const { redis, keys, close } = await openSandbox();
    return { port: createRedisWorkerRegistry(redis, keys), close };
  });

  describeRateLimiter(async () => {
    const { redis, keys, close } = await openSandbox();
    return { port: createRedisRateLimiter(redis, keys), close };
  });

  describeSessionStore(async () => {
    const { redis, keys, close } = await openSandbox();
    return { port: createRedisSessionStore(redis, keys), close };
  });
});

describe('the Redis adapters', () => {
  it('let an image expire that nobody deletes', async () => {
    const sandbox = await openSandbox();
    onTestFinished(sandbox.close);
    await createRedisImageStore({ ...sandbox, ttlSeconds: 60 }).put('a', Uint8Array.of(1));
    const ttl = await sandbox.redis.ttl(sandbox.keys.image('a'));
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(60);
  });

  it('keep a session for a fixed time after its expiry, whatever changes, and an image for a day', async () => {
    const { redis, keys, close } = await openSandbox();
    onTestFinished(close);
    const store = createRedisSessionStore(redis, keys);
    const session = exampleSession({ ttlMs: 60_000 });
    const { sid } = session;
    await store.add(session, 30_000);
    expect(await redis.pexpiretime(keys.session(sid))).toBe(session.expiresAt + 30_000);
    await store.update(sid, (latest) => ({ ...latest, photos: 1 }));
    expect(await redis.pexpiretime(keys.session(sid))).toBe(session.expiresAt + 30_000);
    const day = 24 * 60 * 60;
    await store.hashImage('acme', Uint8Array.of(1));
    await redis.expire(keys.sessionImageKey('acme'), 60);
    await store.hashImage('acme', Uint8Array.of(1));
    expect(await redis.ttl(keys.sessionImageKey('acme'))).toBeCloseTo(2 * day, -1);
    const mark = { tenant: 'acme', mac: 'mac', sid };
    await store.isRepeated(mark);
    await redis.expire(keys.sessionImage('acme', 'mac'), 60);
    await store.isRepeated({ ...mark, sid: 'other' });
    expect(await redis.ttl(keys.sessionImage('acme', 'mac'))).toBeLessThanOrEqual(60);
  });

  it('let an idempotency key expire with the result of its check', async () => {
    const sandbox = await openSandbox();
    onTestFinished(sandbox.close);
    const keys = createRedisIdempotencyKeys({ ...sandbox, resultTtlSeconds: 60 });
    const [first, second] = [
      { id: 'a', imageSha256: '1' },
      { id: 'b', imageSha256: '1' },
    ];
    const livesOn = async () => {
      const found = await findKeys(sandbox.redis, `${sandbox.keys.prefix}*`);
      expect(found).toHaveLength(1);
      return sandbox.redis.ttl(found[0]!);
    };
    const at = { tenant: 'acme', keySha256: 'k' };
    await keys.claim(at, first);
    expect(await livesOn()).toSatisfy((seconds) => seconds > 0 && seconds <= 60);
    await keys.replace(at, first, second);
    expect(await livesOn()).toSatisfy((seconds) => seconds > 0 && seconds <= 60);
  });

  it('keep the mark of an attachment until its last waiter is released', async () => {
    const sandbox = await openSandbox();
    const inbox = createInbox(sandbox, 'gateway');
    onTestFinished(async () => {
      await inbox.close();
      await sandbox.close();
    });
    const marked = () => sandbox.redis.smembers(sandbox.keys.attached('a'));
    const [first, last] = [await inbox.attach('a'), await inbox.attach('a')];
    first.release();
    expect(await marked()).toEqual(['gateway']);
    last.release();
    expect(await marked()).toEqual([]);
  });

  it('release the waiter of an attachment that could not be marked', async () => {
    const sandbox = await openSandbox();
    const leases = createLeases();
    const inbox = createInbox(sandbox, 'gateway', leases);
    onTestFinished(async () => {
      await inbox.close();
      await sandbox.close();
    });
    await sandbox.redis.set(sandbox.keys.attached('a'), 'not a set');
    await expect(inbox.attach('a')).rejects.toThrow(/WRONGTYPE|reach/);
    expect(leases.held()).toEqual(createLeases().held());
  });

  it('remove a worker that stops renewing its registration', async () => {
    const sandbox = await openSandbox();
    onTestFinished(sandbox.close);
    const registry = createRedisWorkerRegistry(sandbox.redis, sandbox.keys);
    await registry.register(exampleWorker);
    const key = sandbox.keys.worker(exampleWorker.id);
    expect(await sandbox.redis.ttl(key)).toBeGreaterThan(0);
    // The effect of its expiry, without the wait.
    await sandbox.redis.del(key);
    expect(await registry.list()).toEqual([]);
    expect(await sandbox.redis.scard(sandbox.keys.workers)).toBe(0);
  });

  it('read a worker without job versions as one of the first version', async () => {
    const sandbox = await openSandbox();
    onTestFinished(sandbox.close);
    const registry = createRedisWorkerRegistry(sandbox.redis, sandbox.keys);
    await registry.register(exampleWorker);
    const { jobVersions: _, ...former } = exampleWorker;
    await sandbox.redis.set(sandbox.keys.worker(exampleWorker.id), JSON.stringify(former));
    expect(await registry.list()).toEqual([{ ...exampleWorker, jobVersions: [1] }]);
  });

  it('deliver a reply that was sent while the connection of the inbox was down', async () => {
    const sandbox = await openSandbox();
    onTestFinished(sandbox.close);
    const inbox = createInbox(sandbox, randomUUID());
    onTestFinished(() => inbox.close());
    const outbox = createRedisReplyOutbox({ ...sandbox, resultTtlSeconds: 60 });
    const [connected, waiter] = [inbox.expect('connected'), inbox.expect('a')];
    await outbox.send(
      { id: 'connected', tenant: 'acme', replyTo: inbox.address },
      { error: 'invalid_image' },
    );
    await connected.within(5000);
    await killConnection(sandbox, inbox.address);
    await outbox.send(
      { id: 'a', tenant: 'acme', replyTo: inbox.address },
      { error: 'invalid_image' },
    );
    expect(await waiter.within(5000)).toEqual({ error: 'invalid_image' });
  });

  it('delete replies once they are read, and attachments once nobody waits', async () => {
    const sandbox = await openSandbox();
    onTestFinished(sandbox.close);
    const { redis, keys } = sandbox;
    const inbox = createInbox(sandbox, randomUUID());
    onTestFinished(() => inbox.close());
    const [first, second] = [await inbox.attach('a'), await inbox.attach('a')];
    first.release();
    expect(await redis.smembers(keys.attached('a'))).toEqual([inbox.address]);
    const outbox = createRedisReplyOutbox({ redis, keys, resultTtlSeconds: 60 });
    await outbox.send(
      { id: 'a', tenant: 'acme', replyTo: inbox.address },
      { result: exampleResult },
    );
    expect(await second.within(5000)).toEqual({ result: exampleResult });
    await expect.poll(() => redis.xlen(keys.replies(inbox.address))).toBe(0);
    second.release();
    // The attachment of a check that had already ended: no reply will delete it.
    const late = await inbox.attach('a');
    expect(await redis.ttl(keys.attached('a'))).toBeGreaterThan(0);
    late.release();
    late.release();
    await expect.poll(() => redis.exists(keys.attached('a'))).toBe(0);
  });

  it('keep the mark of a canceled check as long as its result, once it has ended', async () => {
    const { sandbox, queue } = await openQueue();
    const { redis, keys } = sandbox;
    const outbox = createRedisReplyOutbox({ ...sandbox, resultTtlSeconds: 60 });
    await queue.add('a', exampleJob);
    await queue.cancel('a');
    expect(await redis.ttl(keys.cancellation('a'))).toBeGreaterThan(3600);
    await outbox.send({ id: 'a', tenant: 'acme' }, { error: 'canceled' });
    const ttl = await redis.ttl(keys.cancellation('a'));
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(60);
  });

  it('finish the deletion of a check whose worker died before it removed the job', async () => {
    const { sandbox, queue, worker } = await openQueue();
    await queue.add('a', exampleJob);
    await worker.begin('a');
    await queue.delete('a');
    await worker.finish('a', { result: exampleResult });
    const [left] = await queue.listHidden();
    expect(left).toEqual({ id: 'a', tenant: exampleJob.tenant });
    await queue.delete('a');
    expect(await queue.listHidden()).toEqual([]);
    const { redis, keys } = sandbox;
    expect(await redis.exists(keys.job('a'), keys.cancellation('a'))).toBe(0);
  });

  it('keep no events and no error stacks', async () => {
    const { sandbox, queue, worker } = await openQueue();
    const { redis, keys } = sandbox;
    await queue.add('a', exampleJob);
    await worker.begin('a');
    await worker.finish('a', { error: 'invalid_image' });
    expect(await redis.hget(keys.job('a'), 'stacktrace')).toBe('[]');
    await queue.dropEvents();
    expect(await redis.exists(keys.events(CHECK_QUEUE))).toBe(0);
  });

  it('let the replies of a stopped gateway expire', async () => {
    const sandbox = await openSandbox();
    onTestFinished(sandbox.close);
    const outbox = createRedisReplyOutbox({ ...sandbox, resultTtlSeconds: 60 });
    await outbox.send({ id: 'a', tenant: 'acme', replyTo: 'gone' }, { error: 'invalid_image' });
    expect(await sandbox.redis.ttl(sandbox.keys.replies('gone'))).toBeGreaterThan(0);
  });

  it('fail with "unavailable" at once when the connection is down', async () => {
    const sandbox = await openSandbox();
    const imageStore = createRedisImageStore({ ...sandbox, ttlSeconds: 60 });
    const queue = createQueue(sandbox);
    onTestFinished(() => queue.close());
    await sandbox.close();
    const unavailable = { code: 'unavailable' };
    await expect(imageStore.put('a', Uint8Array.of(1))).rejects.toMatchObject(unavailable);
    await expect(queue.countWaiting()).rejects.toMatchObject(unavailable);
  });

  it('no longer return a check once its result has expired', async () => {
    const { sandbox, queue, worker } = await openQueue();
    await queue.add('a', exampleJob);
    await worker.begin('a');
    await worker.finish('a', { result: exampleResult });
    expect(await queue.read('a')).toBeDefined();
    await sandbox.redis.hset(sandbox.keys.job('a'), 'finishedOn', Date.now() - 61_000);
    expect(await queue.read('a')).toBeUndefined();
    await sandbox.redis.zadd(`${sandbox.keys.prefix}:liveness:completed`, Date.now() - 61_000, 'a');
    await queue.sweep();
    expect(await sandbox.redis.exists(sandbox.keys.job('a'))).toBe(0);
  });

  it('refuse job data that is more than ids and small facts', async () => {
    const sandbox = await openSandbox();
    onTestFinished(sandbox.close);
    const queue = createQueue(sandbox);
    onTestFinished(() => queue.close());
    const oversized = { ...exampleJob, tenant: 'x'.repeat(9000) };
    await expect(queue.add(randomUUID(), oversized)).rejects.toThrow(/size/);
  });
});

const createQueue = (sandbox: Sandbox) =>
  createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });

/** Takes and ends jobs one by one, with BullMQ's own worker. */
function createManualWorker({ keys }: Sandbox) {
  const connection = connectWorker();
  const worker = new Worker(CHECK_QUEUE, null, { connection, prefix: keys.prefix, autorun: false });
  let taken: Job | undefined;
  const takeNext = async () => {
    taken = await worker.getNextJob('token', { block: false });
    return taken?.id;
  };
  return {
    takeNext,
    async begin(id: string) {
      expect(await takeNext()).toBe(id);
    },
    async retry() {
      await taken?.moveToFailed(new Error('a fault of ours'), 'token', false);
      await taken?.promote();
    },
    async delay() {
      await taken?.moveToDelayed(Date.now() + 60_000, 'token');
    },
    async finish(_id: string, outcome: CheckOutcome) {
      if ('result' in outcome)
        await taken?.moveToCompleted(writeResult(outcome.result), 'token', false);
      else await taken?.moveToFailed(new UnrecoverableError(outcome.error), 'token', false);
    },
    async close() {
      await worker.close();
      connection.disconnect();
    },
  };
}

function createInbox({ redis, keys }: Sandbox, gatewayId: string, leases = createLeases()) {
  const blockingRedis = connectWorker(gatewayId);
  return createRedisReplyInbox({ redis, blockingRedis, keys, gatewayId, leases, log: silentLog });
}

/** In a cluster, the client may be connected to other nodes than the one that has the keys. */
async function killConnection({ redis }: Sandbox, name: string): Promise<void> {
  const kills = serversOf(redis).map(async (server) => {
    const clients = (await server.client('LIST')) as string;
    const id = new RegExp(`id=(\\d+) .*name=${name} `).exec(clients)?.[1];
    return id === undefined ? 0 : await server.client('KILL', 'ID', id);
  });
  expect(await Promise.all(kills)).toContain(1);
}

it('the settings of the server with our keys are read and found safe', async () => {
  const { redis, keys, close } = await openSandbox();
  onTestFinished(close);
  const servers = listServers(redis, redis);
  const lines: string[] = [];
  const log = pino({}, { write: (line) => void lines.push(line) });
  const settings = watchSettings({ servers, keys, production: true, waitMs: 0, log });
  onTestFinished(() => settings.close());
  await settings.firstRead;
  expect(lines).toEqual([]);
});

/** A queue and its worker in a sandbox; closes all three when the test ends. */
async function openQueue() {
  const sandbox = await openSandbox();
  onTestFinished(sandbox.close);
  const [queue, worker] = [createQueue(sandbox), createManualWorker(sandbox)];
  onTestFinished(async () => void (await Promise.all([queue.close(), worker.close()])));
  return { sandbox, queue, worker };
}
