import { randomUUID } from 'node:crypto';
import { MIN_GROUP, type ProcessSample, tallyPeriods } from '@livegate/core/domain';
import {
  createRedisCheckQueue,
  createRedisMonitoring,
  createRedisWebhookStore,
} from '@livegate/core/redis';
import { exampleJob } from '@livegate/testing';
import { exampleEndpoint } from '@livegate/testing/webhook-examples';
import { openSandbox } from '@livegate/testing/redis/sandbox';
import { describe, expect, it, onTestFinished } from 'vitest';

async function open() {
  const sandbox = await openSandbox();
  const queue = createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });
  onTestFinished(async () => {
    await queue.close();
    await sandbox.close();
  });
  return { ...sandbox, queue, monitoring: createRedisMonitoring(sandbox.redis, sandbox.keys) };
}

const sample = (process: string): ProcessSample => ({
  process,
  kind: 'worker',
  uptimeMs: 1000,
  values: { 'livegate.engine.count': 2 },
  distributions: { checks: { sum: 0.3, buckets: [[0.1, 0.25, 2]] } },
});

describe('samples', () => {
  it('come back in their order, each once, with the time of Redis', async () => {
    const { monitoring } = await open();
    await monitoring.publish(sample('a'), []);
    const first = await monitoring.readSamples();
    expect(first.samples).toEqual([{ ...sample('a'), at: expect.any(Number) }]);
    expect(first.now).toBeGreaterThanOrEqual(first.samples[0]!.at);
    expect(await monitoring.readSamples(first.cursor)).toMatchObject({ samples: [] });
    await monitoring.publish(sample('b'), []);
    const next = await monitoring.readSamples(first.cursor);
    expect(next.samples.map(({ process }) => process)).toEqual(['b']);
  });

  it('are read in several pages when there are thousands', async () => {
    const { monitoring, redis, keys } = await open();
    const adding = redis.pipeline();
    const json = JSON.stringify(sample('a'));
    for (let n = 0; n < 4100; n += 1) adding.xadd(keys.samples, '*', 'sample', json);
    await adding.exec();
    expect((await monitoring.readSamples()).samples).toHaveLength(4100);
  });

  it('leave no key without a TTL', async () => {
    const { monitoring, redis, keys } = await open();
    const counts = { LOW: MIN_GROUP };
    await monitoring.publish(sample('a'), [{ tenant: 'acme', counts }]);
    await monitoring.noteFailure({ code: 'overloaded', id: 'a', isCheck: false });
    await monitoring.noteAttempt({ tenant: 'acme', endpoint: 'webhook_url', outcome: '5xx' });
    const used = await redis.keys(`${keys.prefix}:*`);
    const own = used.filter((key) => !key.startsWith(`${keys.prefix}:liveness:`));
    expect(own).toHaveLength(5);
    for (const key of own) expect(await redis.ttl(key)).toBeGreaterThan(0);
  });
});

it('adds up tallies of the same hour and of the same ten minutes, by tenant', async () => {
  const { monitoring } = await open();
  const counts = { LOW: 9, HIGH: 1, 'quality face_turned': 2 };
  await monitoring.publish(sample('a'), [{ tenant: 'acme', counts }]);
  await monitoring.publish(sample('b'), [
    { tenant: 'acme', counts },
    { tenant: 'b.c-d', counts: { LOW: 10 } },
  ]);
  const { now } = await monitoring.readSamples();
  for (const period of ['hour', 'slot'] as const) {
    const current = Math.floor(now / tallyPeriods[period].ms);
    // The period may have changed while this test ran.
    const [former, latest] = await monitoring.readTallies(period, [current - 1, current]);
    const tallies = latest!.length > 0 ? latest! : former!;
    expect(tallies.toSorted((a, b) => a.tenant.localeCompare(b.tenant))).toEqual([
      { tenant: 'acme', counts: { LOW: 18, HIGH: 2, 'quality face_turned': 4 } },
      { tenant: 'b.c-d', counts: { LOW: 10 } },
    ]);
  }
});

describe('failed requests', () => {
  it('are listed by code, the latest ten', async () => {
    const { monitoring } = await open();
    for (let n = 0; n < 12; n += 1) {
      await monitoring.noteFailure({ code: 'overloaded', id: `id-${n}`, isCheck: false });
    }
    await monitoring.noteFailure({ code: 'timeout', id: 'other', isCheck: false });
    const notes = await monitoring.readFailures();
    const idsOf = (code: string) =>
      notes.find((note) => note.code === code)?.requests.map(({ id }) => id);
    expect(idsOf('timeout')).toEqual(['other']);
    expect(idsOf('overloaded')).toHaveLength(10);
    expect(idsOf('overloaded')?.[0]).toBe('id-11');
  });

  it('are forgotten when their check is deleted, and not noted after that', async () => {
    const { monitoring, queue } = await open();
    const [id, kept] = [randomUUID(), randomUUID()];
    for (const each of [id, kept]) await queue.add(each, exampleJob);
    for (const each of [id, kept]) {
      await monitoring.noteFailure({ code: 'timeout', id: each, isCheck: true });
    }
    await queue.delete(id);
    await monitoring.noteFailure({ code: 'internal_error', id, isCheck: true });
    const notes = await monitoring.readFailures();
    expect(notes).toEqual([{ code: 'timeout', requests: [{ id: kept, at: expect.any(Number) }] }]);
    await queue.delete(kept);
    expect(await monitoring.readFailures()).toEqual([]);
  });

  it('of a hidden check, which a worker still has, are not noted', async () => {
    const { monitoring, queue } = await open();
    const id = randomUUID();
    await queue.add(id, exampleJob);
    await queue.hide(id);
    await monitoring.noteFailure({ code: 'timeout', id, isCheck: true });
    expect(await monitoring.readFailures()).toEqual([]);
  });
});

it('lists receivers that fail until they answer or are deleted', async () => {
  const { monitoring, redis, keys } = await open();
  const endpoints = createRedisWebhookStore(redis, keys);
  await endpoints.addEndpoint(exampleEndpoint({ tenant: 'acme', id: 'whe_1' }), 9);
  const [down, other] = ['whe_1', 'webhook_url'].map((endpoint) => ({ tenant: 'acme', endpoint }));
  await monitoring.noteAttempt({ ...down!, outcome: 'no_answer' });
  await monitoring.noteAttempt({ ...down!, outcome: '5xx' });
  await monitoring.noteAttempt({ ...other!, outcome: '4xx' });
  const at = expect.any(Number);
  const found = await monitoring.readFailingReceivers();
  expect(found.toSorted((a, b) => b.failures - a.failures)).toEqual([
    { ...down, outcome: '5xx', failures: 2, at },
    { ...other, outcome: '4xx', failures: 1, at },
  ]);
  await monitoring.noteAttempt({ ...down!, outcome: '2xx' });
  expect(await monitoring.readFailingReceivers()).toEqual([
    { ...other, outcome: '4xx', failures: 1, at },
  ]);
  await monitoring.noteAttempt({ ...down!, outcome: '5xx' });
  await endpoints.removeEndpoint({ tenant: 'acme', id: 'whe_1' });
  await monitoring.noteAttempt({ ...down!, outcome: '5xx' });
  expect(await monitoring.readFailingReceivers()).toHaveLength(1);
});
