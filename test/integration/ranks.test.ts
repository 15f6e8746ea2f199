import { queuedMs } from '@livegate/core/domain';
import { CHECK_QUEUE } from '@livegate/core/ports';
import { createRedisCheckQueue } from '@livegate/core/redis';
import { exampleAsyncJob, exampleJob } from '@livegate/testing';
import { createOwnRedis } from '@livegate/testing/redis/own-redis';
import { connectWorker, openSandbox, serversOf } from '@livegate/testing/redis/sandbox';
import { type Job, Worker } from 'bullmq';
import { expect, onTestFinished, test } from 'vitest';

/** From this clock on, `ranks.ts` lowers all tags. */
const MAX_CLOCK = 2 ** 20;

async function setUp(url?: string) {
  const sandbox = await openSandbox(url);
  const queue = createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });
  const connection = connectWorker('test-worker', url);
  const { prefix } = sandbox.keys;
  const worker = new Worker(CHECK_QUEUE, null, { connection, prefix, autorun: false });
  onTestFinished(async () => {
    await worker.close();
    connection.disconnect();
    await queue.close();
    await sandbox.close();
  });
  const take = async () => (await worker.getNextJob('token', { block: false })) as Job | undefined;
  const takeAll = async () => {
    const ids: string[] = [];
    for (let job = await take(); job; job = await take()) ids.push(job.id!);
    return ids;
  };
  const add = (id: string, tenant: string, ms: number) =>
    queue.add(id, { ...exampleJob, tenant, ms });
  const rankOf = async (id: string) => (await queue.bullQueue.getJob(id))!.priority;
  return { sandbox, queue, take, takeAll, add, rankOf };
}

test('lowered tags keep the order of queued checks, their ranks low and the estimates', async () => {
  const { sandbox, queue, take, takeAll, add, rankOf } = await setUp();
  await add('old', 'old', MAX_CLOCK - 5000);
  for (let i = 0; i < 60; i++) {
    await add(`a${i}`, 'a', 200);
    await add(`b${i}`, 'b', 400);
  }
  await queue.add('last', exampleJob);
  await queue.defer('last', 'last');
  const taken: string[] = [];
  while ((await rankOf(`a${taken.length}`)) < MAX_CLOCK + 600) {
    const { id } = (await take())!;
    if (id!.startsWith('a')) taken.push(id!);
  }
  const order = await sandbox.redis.zrange(sandbox.keys.job('prioritized'), '0', '-1');
  const before = await queue.readFlows();
  expect(before.clock).toBeGreaterThan(MAX_CLOCK);

  await queue.takeRank({ tenant: 'new', isAwaited: true, weight: 1, ms: 1 });

  const after = await queue.readFlows();
  expect(after.clock).toBeLessThan(2);
  expect(queuedMs(after, 'awaited:a')).toBeCloseTo(queuedMs(before, 'awaited:a'), 0);
  expect(queuedMs(after, 'awaited:b')).toBeCloseTo(queuedMs(before, 'awaited:b'), 0);
  expect(await rankOf('a59')).toBeLessThan(20_000);
  expect(await rankOf('last')).toBe(2 ** 21 - 1);
  expect(await takeAll()).toEqual(order);
});

test.each(['async', 'last'] as const)(
  'a check that runs on as %s does not depend on the gateway of its caller any more',
  async (to) => {
    const { queue } = await setUp();
    await queue.add('a', { ...exampleJob, isCallersOnly: true });
    const { isCallersOnly, ...data } = (await queue.bullQueue.getJob('a'))!.data;
    expect(isCallersOnly).toBe(true);
    await queue.defer('a', to);
    expect((await queue.bullQueue.getJob('a'))!.data).toEqual(data);
  },
);

test('no check is lost or runs twice while tags are lowered and workers take checks', async () => {
  const { take, takeAll, add, rankOf } = await setUp();
  await add('old', 'old', MAX_CLOCK - 5000);
  const early = Array.from({ length: 60 }, (_each, i) => `early${i}`);
  const late = Array.from({ length: 50 }, (_each, i) => `late${i}`);
  for (const id of early) await add(id, 'early', 200);
  const taken: string[] = [];
  const takeFifty = async () => {
    for (let n = 0; n < 50; n++) taken.push((await take())!.id!);
  };
  const addLate = async () => {
    for (const id of late) await add(id, 'late', 10);
  };
  await Promise.all([takeFifty(), addLate()]);
  await takeFifty();
  await add('end', 'end', 1);
  const rest = await takeAll();
  for (const id of rest) expect(await rankOf(id)).toBeLessThan(20_000);
  expect(rest).toContain('early59');
  expect([...taken, ...rest].toSorted()).toEqual(['old', 'end', ...early, ...late].toSorted());
});

test('a check whose image was being stored while tags were lowered does not wait for later ones', async () => {
  const { queue, takeAll, add } = await setUp();
  await add('first', 'first', MAX_CLOCK - 5000);
  const job = { ...exampleJob, tenant: 'slow', ms: 20 };
  const rank = await queue.takeRank({ tenant: 'slow', isAwaited: true, weight: 1, ms: 20 });
  await add('second', 'second', 15_500);
  await queue.delete('first');
  for (let i = 0; i < 5; i++) await add(`flood${i}`, 'flood', 100);
  await queue.add('slow', job, rank);
  for (let i = 5; i < 10; i++) await add(`flood${i}`, 'flood', 100);
  const order = await takeAll();
  expect(order.indexOf('slow')).toBeLessThan(order.indexOf('flood2'));
});

test('a check that is retried after tags were lowered does not wait for later ones', async () => {
  const { queue, take, takeAll, add } = await setUp();
  await add('old', 'old', MAX_CLOCK + 10_000);
  const retried = (await take())!;
  expect(retried.id).toBe('old');
  await add('next', 'next', MAX_CLOCK + 20_000);
  for (let i = 0; i < 5; i++) await add(`flood${i}`, 'flood', 100);
  await retried.moveToFailed(new Error('a fault of ours'), 'token', false);
  await retried.promote();
  for (let i = 5; i < 10; i++) await add(`flood${i}`, 'flood', 100);
  const order = await takeAll();
  expect(order.indexOf('old')).toBeLessThan(order.indexOf('flood5'));
  expect(await queue.countWaiting()).toBe(0);
});

test('async checks that workers have taken do not count as queued, however fast they were taken', async () => {
  const { queue, take } = await setUp();
  const isQueued = { tenant: 'a', isAwaited: false, weight: 1, ms: 100 };
  for (let i = 0; i < 100; i++)
    await queue.add(`a${i}`, { ...exampleAsyncJob, tenant: 'a', ms: 100 });
  for (let i = 0; i < 100; i++) {
    await take();
    // As each gateway does with every poll.
    await queue.readFlows();
  }
  expect(queuedMs(await queue.readFlows(), 'async:a')).toBeLessThan(200);
  await queue.takeRank({ ...isQueued, maxWaitMs: 200 });
});

test('a Redis with full memory still says what is queued', async () => {
  const own = await createOwnRedis();
  onTestFinished(own.remove);
  const { sandbox, queue, add } = await setUp(own.url);
  for (const id of ['first', 'second']) await add(id, 'a', 100);
  await serversOf(sandbox.redis)[0]!.config('SET', 'maxmemory', '1');
  expect(queuedMs(await queue.readFlows(), 'awaited:a')).toBe(100);
  await expect(add('b', 'b', 100)).rejects.toMatchObject({ code: 'overloaded' });
});

test('the answer to a poll does not grow with the number of delayed checks', async () => {
  const { sandbox, queue, take, add } = await setUp();
  for (let i = 0; i < 100; i++) {
    await add(`large${i}`, 'a', 400);
    await (await take())!.moveToDelayed(Date.now() + 60_000, 'token');
  }
  const servers = serversOf(sandbox.redis);
  const readBytes = () => servers.reduce((sum, { stream }) => sum + (stream?.bytesRead ?? 0), 0);
  const before = readBytes();
  expect(queuedMs(await queue.readFlows(), 'awaited:a')).toBeCloseTo(40_000, -2);
  expect(readBytes() - before).toBeLessThan(400);
});
