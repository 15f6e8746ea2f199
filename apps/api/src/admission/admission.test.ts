import { createLeases, JOB_VERSION } from '@livegate/core/domain';
import {
  createFakeCheckQueue,
  createFakeImageStore,
  createFakeWorkerRegistry,
  exampleJob,
  exampleWorker,
  type Outage,
} from '@livegate/testing';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openAdmission } from './admission.js';
import { LOOK_MS } from './watch.js';

const [awaited, unawaited] = [{ isAwaited: true }, { isAwaited: false }];
const log = pino({ level: 'silent' });
const nextLook = () => vi.advanceTimersByTimeAsync(1000);

async function watch(maxWaiting: number) {
  const outage: Outage = { away: false };
  const imageOutage: Outage = { away: false };
  const settings = { problem: undefined as string | undefined };
  const queue = createFakeCheckQueue(outage);
  const registry = createFakeWorkerRegistry(outage);
  await registry.register(exampleWorker);
  const imageStore = createFakeImageStore(imageOutage);
  const leases = createLeases();
  const admission = openAdmission({
    queue,
    registry,
    imageStore,
    settings: { findProblem: () => settings.problem },
    maxWaiting,
    redisTimeoutMs: 500,
    leases,
    log,
  });
  await admission.firstLook;
  onTestFinished(() => admission.close());
  return { outage, imageOutage, settings, queue, registry, imageStore, admission };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('admission', () => {
  it('lets in no more than the queue may hold between two looks', async () => {
    const { admission } = await watch(2);
    admission.admit(awaited);
    admission.admit(awaited);
    expect(() => admission.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('keeps the last tenth of the queue for checks that somebody waits for', async () => {
    const { admission } = await watch(10);
    for (let i = 0; i < 9; i++) admission.admit(unawaited);
    expect(() => admission.admit(unawaited)).toThrow(
      expect.objectContaining({ code: 'overloaded' }),
    );
    admission.admit(awaited);
    expect(() => admission.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('counts what other gateways have queued', async () => {
    const { admission, queue } = await watch(1);
    await queue.add('a', exampleJob);
    await nextLook();
    expect(() => admission.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('lets in again once the queue has been worked off', async () => {
    const { admission } = await watch(1);
    admission.admit(awaited).queued();
    expect(() => admission.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
    await nextLook();
    expect(() => admission.admit(awaited)).not.toThrow();
  });

  it('counts a check that is queued while the queue is being counted', async () => {
    const { admission, queue } = await watch(2);
    const counts: ((waiting: number) => void)[] = [];
    queue.countWaiting = async () => new Promise((resolve) => counts.push(resolve));
    admission.admit(awaited).queued();
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    admission.admit(awaited).queued();
    counts[0]?.(1);
    await vi.advanceTimersByTimeAsync(0);
    expect(() => admission.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('keeps the place of a slow upload over any number of looks', async () => {
    const { admission } = await watch(1);
    admission.admit(awaited);
    await nextLook();
    await nextLook();
    expect(() => admission.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('gives the place of a refused request to the next one', async () => {
    const { admission } = await watch(1);
    const place = admission.admit(awaited);
    place.release();
    place.release();
    admission.admit(awaited);
    expect(() => admission.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('takes one failed look for no outage', async () => {
    const { admission, outage } = await watch(1);
    outage.away = true;
    await vi.advanceTimersByTimeAsync(600);
    outage.away = false;
    expect(() => admission.admit(awaited)).not.toThrow();
  });

  it('notices that Redis went away, and that it is back', async () => {
    const { admission, outage } = await watch(1);
    outage.away = true;
    await vi.advanceTimersByTimeAsync(3000);
    expect(admission.view()).toBeUndefined();
    expect(() => admission.admit(awaited)).toThrow(
      expect.objectContaining({ code: 'unavailable' }),
    );
    outage.away = false;
    await nextLook();
    expect(() => admission.admit(awaited)).not.toThrow();
  });

  type Watched = Awaited<ReturnType<typeof watch>>;
  const never = () => new Promise<never>(() => undefined);

  it.each([
    ['a queue', ({ queue }: Watched) => vi.spyOn(queue, 'countWaiting').mockImplementation(never)],
    ['images', ({ imageStore }: Watched) => vi.spyOn(imageStore, 'ping').mockImplementation(never)],
  ])(
    'notices within a second that %s cannot be reached, and can be again',
    async (_name, freeze) => {
      const watched = await watch(1);
      const { admission } = watched;
      // Just after a look: as late as can be.
      await vi.advanceTimersByTimeAsync(LOOK_MS + 1);
      const frozen = freeze(watched);
      await vi.advanceTimersByTimeAsync(1000);
      expect(admission.findProblem()).toMatch(/cannot be reached/);
      expect(() => admission.admit(awaited)).toThrow(
        expect.objectContaining({ code: 'unavailable' }),
      );
      frozen.mockRestore();
      await nextLook();
      expect(admission.findProblem()).toBeUndefined();
    },
  );

  it('takes no checks while only the images are away, but knows its workers', async () => {
    const { admission, imageOutage } = await watch(1);
    imageOutage.away = true;
    await nextLook();
    expect(admission.findProblem()).toBe('the Redis for images cannot be reached');
    expect(admission.view()?.workers).toEqual([exampleWorker]);
  });

  it('takes no checks into a Redis that would lose them', async () => {
    const { admission, settings } = await watch(1);
    settings.problem = 'evicts';
    expect(() => admission.admit(awaited)).toThrow('evicts');
    settings.problem = undefined;
    expect(() => admission.admit(awaited)).not.toThrow();
  });

  it('counts a look that took too long neither as seen nor in the queue', async () => {
    const { admission, queue } = await watch(2);
    const late: ((waiting: number) => void)[] = [];
    const slow = vi.spyOn(queue, 'countWaiting');
    slow.mockImplementation(() => new Promise((resolve) => late.push(resolve)));
    admission.admit(awaited).queued();
    await vi.advanceTimersByTimeAsync(LOOK_MS + 250);
    slow.mockRestore();
    late[0]?.(0);
    await vi.advanceTimersByTimeAsync(0);
    admission.admit(awaited);
    expect(() => admission.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('notices that the last worker is gone', async () => {
    const { admission, registry } = await watch(1);
    await registry.unregister(exampleWorker.id);
    await nextLook();
    expect(() => admission.admit(awaited)).toThrow(
      expect.objectContaining({ code: 'unavailable' }),
    );
  });

  it('takes no checks into a queue of another schema', async () => {
    const { admission, queue } = await watch(1);
    queue.readSchemaVersion = async () => 2;
    await nextLook();
    expect(() => admission.admit(awaited)).toThrow(/schema 2/);
  });

  it('takes no checks that no worker reads, until one does', async () => {
    const { admission, registry } = await watch(1);
    await registry.register({ ...exampleWorker, jobVersions: [JOB_VERSION - 1] });
    await nextLook();
    expect(() => admission.admit(awaited)).toThrow(
      `no worker reads checks of version ${JOB_VERSION}`,
    );
    const newer = { ...exampleWorker, id: 'newer', jobVersions: [JOB_VERSION, JOB_VERSION + 1] };
    await registry.register(newer);
    await nextLook();
    expect(() => admission.admit(awaited)).not.toThrow();
  });

  it('stops looking when closed', async () => {
    const { admission, registry } = await watch(1);
    admission.close();
    await registry.unregister(exampleWorker.id);
    await nextLook();
    expect(admission.view()?.workers).toHaveLength(1);
  });
});
