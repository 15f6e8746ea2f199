import { createLeases, JOB_VERSION, LivegateError } from '@livegate/core/domain';
import {
  createFakeCheckQueue,
  createFakeImageStore,
  createFakeWorkerRegistry,
  exampleAsyncJob,
  exampleJob,
  exampleWorker,
  type Outage,
} from '@livegate/testing';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openAdmission, POLL_MS } from './admission.js';

const awaited = { tenant: 'acme', waitMs: 25_000 };
const unawaited = { tenant: 'acme', waitMs: 0 };
const [ofOther, ofThird] = ['other', 'third'].map((tenant) => ({ ...awaited, tenant }));
const overloaded = expect.objectContaining({ code: 'overloaded' }) as Error;
const nextPoll = () => vi.advanceTimersByTimeAsync(1000);

async function watch(maxWaiting: number, weight = 1) {
  const lines: string[] = [];
  const log = pino({}, { write: (line) => void lines.push(line) });
  const logged = () => lines.map((line) => JSON.parse(line) as { msg: string; err: object });
  const outage: Outage = { away: false };
  const imageOutage: Outage = { away: false };
  const settings = { problem: undefined as string | undefined };
  const queue = createFakeCheckQueue(outage);
  const registry = createFakeWorkerRegistry(outage);
  await registry.register(exampleWorker);
  const imageStore = createFakeImageStore(imageOutage);
  const leases = createLeases();
  const admission = openAdmission({
    renew: async () => undefined,
    queue,
    registry,
    imageStore,
    settings: { findProblem: () => settings.problem },
    maxWaiting,
    maxQueueWaitMs: 5000,
    maxAsyncWaitMs: 30_000,
    weightOf: () => weight,
    redisTimeoutMs: 500,
    leases,
    log,
  });
  await admission.firstPoll;
  onTestFinished(() => admission.close());
  return { outage, imageOutage, settings, queue, registry, imageStore, admission, logged };
}

// A faked setImmediate takes a millisecond, which a real one does not.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

describe('admission', () => {
  it('admits no more than the queue may hold between two polls', async () => {
    const { admission } = await watch(2);
    admission.admit(awaited);
    admission.admit(ofOther!);
    expect(() => admission.admit(ofThird!)).toThrow(overloaded);
  });

  it('gives a tenant only as many places as it leaves free for others', async () => {
    const { admission } = await watch(10);
    for (let i = 0; i < 5; i++) admission.admit(awaited);
    expect(() => admission.admit(awaited)).toThrow(overloaded);
    for (let i = 0; i < 2; i++) admission.admit(ofOther!);
    expect(() => admission.admit(ofOther!)).toThrow(overloaded);
    admission.admit(ofThird!);
  });

  it('counts async checks and those with a waiting caller separately', async () => {
    const { admission } = await watch(10);
    for (let i = 0; i < 5; i++) admission.admit(unawaited);
    expect(() => admission.admit(unawaited)).toThrow(overloaded);
    admission.admit(awaited);
  });

  it('refuses a check that would wait longer than its caller does, with a time to retry', async () => {
    const { admission, queue } = await watch(1000);
    for (let i = 0; i < 40; i++) await queue.add(`a${i}`, { ...exampleJob, ms: 100 });
    await nextPoll();
    const longWait = { ...awaited, waitMs: 4000 };
    expect(() => admission.admit(longWait)).not.toThrow();
    expect(() => admission.admit({ ...longWait, waitMs: 1000 })).toThrow(
      expect.objectContaining({ code: 'overloaded', retryAfterSeconds: 4 }),
    );
    expect(() => admission.admit({ ...ofOther!, waitMs: 1000 })).not.toThrow();
  });

  it('limits the wait of callers that would wait for long, and separately that of async checks', async () => {
    const { admission, queue } = await watch(1000);
    for (let i = 0; i < 60; i++) await queue.add(`a${i}`, { ...exampleJob, ms: 100 });
    await nextPoll();
    expect(() => admission.admit(awaited)).toThrow(overloaded);
    expect(() => admission.admit({ ...awaited, mayBeAsync: true })).not.toThrow();
    expect(() => admission.admit(unawaited)).not.toThrow();
    for (let i = 0; i < 300; i++) await queue.add(`b${i}`, { ...exampleAsyncJob, ms: 100 });
    await nextPoll();
    expect(() => admission.admit(unawaited)).toThrow(overloaded);
    expect(() => admission.admit({ ...awaited, mayBeAsync: true })).toThrow(overloaded);
  });

  it('queues a check as an async one if another gateway has filled the queue since the last poll', async () => {
    const { admission, queue } = await watch(1000);
    const both = admission.admit({ ...awaited, mayBeAsync: true });
    const awaitedOnly = admission.admit(awaited);
    for (let i = 0; i < 60; i++) await queue.add(`a${i}`, { ...exampleJob, ms: 100 });
    expect(await both.takeRank(20)).toMatchObject({ isAsync: true });
    expect([...(await queue.readFlows()).flows.keys()]).toContain('async:acme');
    await expect(awaitedOnly.takeRank(20)).rejects.toThrow(overloaded);
  });

  it('queues no check as an async one after another error than a full queue', async () => {
    const { admission, queue } = await watch(1000);
    const taken = vi.spyOn(queue, 'takeRank');
    for (const error of [new LivegateError('unavailable'), new Error('a bug')]) {
      taken.mockRejectedValue(error);
      const place = admission.admit({ ...awaited, mayBeAsync: true });
      await expect(place.takeRank(20)).rejects.toBe(error);
    }
    expect(taken).toHaveBeenCalledTimes(2);
  });

  it('says in the job what differs from an awaited check of weight 1', async () => {
    const { admission } = await watch(1000, 3);
    const facts = { work: 20, ms: 20, weight: 3 };
    expect(await admission.admit(unawaited).takeRank(20)).toEqual({
      ...facts,
      rank: expect.any(Number),
    });
  });

  it('counts large images that workers have delayed, for their own tenant', async () => {
    const { admission, queue } = await watch(1000);
    for (const id of ['large1', 'large2', 'large3', 'large4']) {
      await queue.add(id, { ...exampleJob, tenant: 'acme', ms: 1500 });
      queue.begin(id);
      queue.delay(id);
    }
    for (let i = 0; i < 100; i++) {
      await queue.add(`small${i}`, { ...exampleJob, tenant: 'other', ms: 100 });
      queue.begin(`small${i}`);
    }
    await queue.add('next', { ...exampleJob, tenant: 'other', ms: 100 });
    await nextPoll();
    expect(() => admission.admit(awaited)).toThrow(overloaded);
    expect(() => admission.admit(ofThird!)).not.toThrow();
  });

  it('uses the speeds that the workers have registered', async () => {
    const { admission, queue, registry } = await watch(1000);
    await registry.register({ ...exampleWorker, workPerSecond: 2000 });
    await registry.register({ ...exampleWorker, id: 'fast', workPerSecond: 8000 });
    await nextPoll();
    const place = admission.admit(awaited);
    const taken = vi.spyOn(queue, 'takeRank');
    expect(await place.takeRank(150)).toEqual({ rank: 16, work: 150, ms: 15 });
    expect(taken).toHaveBeenCalledWith(expect.objectContaining({ ms: 15, maxWaitMs: 5000 }));
  });

  it('counts an admitted body by its length until its image has been read', async () => {
    const { admission } = await watch(1000);
    // 8 MB at 0.4 bytes a pixel are 20 megapixels, 72 ms of work for this worker.
    const places = Array.from({ length: 60 }, () => admission.admit({ ...awaited, bytes: 8e6 }));
    expect(() => admission.admit({ ...awaited, waitMs: 2000 })).toThrow(overloaded);
    await Promise.all(places.map((place) => place.takeRank(20)));
    expect(() => admission.admit({ ...awaited, waitMs: 2000 })).not.toThrow();
  });

  it('counts checks that other gateways have queued', async () => {
    const { admission, queue } = await watch(1);
    await queue.add('a', exampleJob);
    await nextPoll();
    expect(() => admission.admit(awaited)).toThrow(overloaded);
  });

  it('admits again once workers have drained the queue', async () => {
    const { admission } = await watch(1);
    admission.admit(awaited).queued();
    expect(() => admission.admit(awaited)).toThrow(overloaded);
    await nextPoll();
    expect(() => admission.admit(awaited)).not.toThrow();
  });

  it('counts a check that is queued while the queue is being counted', async () => {
    const { admission, queue } = await watch(2);
    const counts: ((waiting: number) => void)[] = [];
    queue.countWaiting = async () => new Promise((resolve) => counts.push(resolve));
    admission.admit(awaited).queued();
    await vi.advanceTimersByTimeAsync(POLL_MS);
    admission.admit(ofOther!).queued();
    counts[0]?.(1);
    await vi.advanceTimersByTimeAsync(0);
    expect(() => admission.admit(ofThird!)).toThrow(overloaded);
  });

  it('keeps the place of a slow upload across polls', async () => {
    const { admission } = await watch(1);
    admission.admit(awaited);
    await nextPoll();
    await nextPoll();
    expect(() => admission.admit(awaited)).toThrow(overloaded);
  });

  it('gives the place of a refused request to one other request, even if released twice', async () => {
    const { admission } = await watch(1);
    const place = admission.admit(awaited);
    place.release();
    place.release();
    admission.admit(awaited);
    expect(() => admission.admit(awaited)).toThrow(overloaded);
  });

  it('keeps admitting after a single failed poll', async () => {
    const { admission, outage, logged } = await watch(1);
    await vi.advanceTimersByTimeAsync(4000);
    outage.away = true;
    await vi.advanceTimersByTimeAsync(600);
    expect(logged()).toEqual([]);
    outage.away = false;
    expect(() => admission.admit(awaited)).not.toThrow();
  });

  it('is unavailable while Redis is down, and admits again when it is back', async () => {
    const { admission, outage, logged } = await watch(1);
    outage.away = true;
    await vi.advanceTimersByTimeAsync(3000);
    expect(logged()).toMatchObject([
      { msg: 'admission: queue Redis unreachable', err: { code: 'unavailable' } },
    ]);
    expect(admission.view()).toBeUndefined();
    expect(() => admission.admit(awaited)).toThrow(
      expect.objectContaining({ code: 'unavailable' }),
    );
    outage.away = false;
    await nextPoll();
    expect(() => admission.admit(awaited)).not.toThrow();
  });

  type Watched = Awaited<ReturnType<typeof watch>>;
  const never = () => new Promise<never>(() => undefined);

  it.each([
    [
      'the queue Redis',
      ({ queue }: Watched) => vi.spyOn(queue, 'countWaiting').mockImplementation(never),
    ],
    [
      'the image Redis',
      ({ imageStore }: Watched) => vi.spyOn(imageStore, 'ping').mockImplementation(never),
    ],
  ])('notices within a second that %s is frozen, and recovers', async (_name, freeze) => {
    const watched = await watch(1);
    const { admission } = watched;
    // Just after a poll: the worst case.
    await vi.advanceTimersByTimeAsync(POLL_MS + 1);
    const frozen = freeze(watched);
    await vi.advanceTimersByTimeAsync(1000);
    expect(admission.findProblem()).toMatch(/cannot be reached/);
    expect(() => admission.admit(awaited)).toThrow(
      expect.objectContaining({ code: 'unavailable' }),
    );
    frozen.mockRestore();
    await nextPoll();
    expect(admission.findProblem()).toBeUndefined();
  });

  it('refuses checks while only the image Redis is down, and still knows its workers', async () => {
    const { admission, imageOutage, logged } = await watch(1);
    imageOutage.away = true;
    await nextPoll();
    expect(logged()).toMatchObject([
      { msg: 'admission: image Redis unreachable', err: { code: 'unavailable' } },
    ]);
    expect(admission.findProblem()).toBe('the Redis for images cannot be reached');
    expect(admission.view()?.workers).toEqual([exampleWorker]);
  });

  it('refuses checks while the Redis settings would lose them', async () => {
    const { admission, settings } = await watch(1);
    settings.problem = 'evicts';
    expect(() => admission.admit(awaited)).toThrow('evicts');
    settings.problem = undefined;
    expect(() => admission.admit(awaited)).not.toThrow();
  });

  it('ignores the count of a poll that timed out', async () => {
    const { admission, queue } = await watch(2);
    const late: ((waiting: number) => void)[] = [];
    const slow = vi.spyOn(queue, 'countWaiting');
    slow.mockImplementation(() => new Promise((resolve) => late.push(resolve)));
    admission.admit(awaited).queued();
    await vi.advanceTimersByTimeAsync(POLL_MS + 250);
    slow.mockRestore();
    late[0]?.(0);
    await vi.advanceTimersByTimeAsync(0);
    admission.admit(ofOther!);
    expect(() => admission.admit(ofThird!)).toThrow(overloaded);
  });

  it('is unavailable once the last worker is gone', async () => {
    const { admission, registry } = await watch(1);
    await registry.unregister(exampleWorker.id);
    await nextPoll();
    expect(() => admission.admit(awaited)).toThrow(
      expect.objectContaining({ code: 'unavailable', detail: 'no worker is alive' }),
    );
  });

  it.each([
    { withinMs: 25, age: 'a new gateway', sinceMs: 1000 },
    { withinMs: 100, age: 'an older gateway', sinceMs: 11_000 },
  ])('admits checks within $withinMs ms of a first worker: $age', async ({ withinMs, sinceMs }) => {
    const { admission, registry } = await watch(1);
    await registry.unregister(exampleWorker.id);
    await vi.advanceTimersByTimeAsync(sinceMs);
    const list = vi.spyOn(registry, 'list');
    await vi.advanceTimersByTimeAsync(200);
    expect(list).toHaveBeenCalledTimes(200 / withinMs);
    await registry.register(exampleWorker);
    await vi.advanceTimersByTimeAsync(withinMs);
    expect(() => admission.admit(awaited)).not.toThrow();
  });

  it('refuses checks while the data in Redis has another schema', async () => {
    const { admission, queue } = await watch(1);
    queue.readSchemaVersion = async () => 2;
    await nextPoll();
    expect(() => admission.admit(awaited)).toThrow(/schema 2/);
  });

  it('refuses checks until some worker reads their version', async () => {
    const { admission, registry } = await watch(1);
    await registry.register({ ...exampleWorker, jobVersions: [JOB_VERSION - 1] });
    await nextPoll();
    expect(() => admission.admit(awaited)).toThrow(
      `no worker reads checks of version ${JOB_VERSION}`,
    );
    const newer = { ...exampleWorker, id: 'newer', jobVersions: [JOB_VERSION, JOB_VERSION + 1] };
    await registry.register(newer);
    await nextPoll();
    expect(() => admission.admit(awaited)).not.toThrow();
  });

  it('stops polling when closed', async () => {
    const { admission, registry } = await watch(1);
    admission.close();
    await registry.unregister(exampleWorker.id);
    await nextPoll();
    expect(admission.view()?.workers).toHaveLength(1);
  });

  it('stops polling when closed during a poll', async () => {
    const { admission, queue } = await watch(1);
    const counts = vi.spyOn(queue, 'countWaiting').mockImplementation(never);
    await vi.advanceTimersByTimeAsync(POLL_MS);
    expect(counts).toHaveBeenCalledTimes(1);
    admission.close();
    await nextPoll();
    expect(counts).toHaveBeenCalledTimes(1);
  });
});
