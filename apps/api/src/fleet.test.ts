import { createLeases, JOB_VERSION } from '@livegate/core';
import {
  createFakeCheckQueue,
  createFakeImageStore,
  createFakeWorkerRegistry,
  exampleJob,
  exampleWorker,
  type Outage,
} from '@livegate/core/testing';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { watchFleet } from './fleet.js';
import { LOOK_MS } from './keep-looking.js';

const [awaited, unawaited] = [{ isAwaited: true }, { isAwaited: false }];
const log = pino({ level: 'silent' });
const nextLook = () => vi.advanceTimersByTimeAsync(1000);

async function watch(maxWaiting: number) {
  const outage: Outage = { away: false };
  const imageOutage: Outage = { away: false };
  const settings = { problem: undefined as string | undefined };
  const queue = createFakeCheckQueue(outage);
  const registry = createFakeWorkerRegistry(outage);
  await registry.announce(exampleWorker);
  const imageStore = createFakeImageStore(imageOutage);
  const leases = createLeases();
  const fleet = watchFleet({
    queue,
    registry,
    imageStore,
    settings: { findProblem: () => settings.problem },
    maxWaiting,
    redisTimeoutMs: 500,
    leases,
    log,
  });
  await fleet.firstLook;
  onTestFinished(() => fleet.close());
  return { outage, imageOutage, settings, queue, registry, imageStore, fleet };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('fleet', () => {
  it('lets in no more than the queue may hold between two looks', async () => {
    const { fleet } = await watch(2);
    fleet.admit(awaited);
    fleet.admit(awaited);
    expect(() => fleet.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('keeps the last tenth of the queue for checks that somebody waits for', async () => {
    const { fleet } = await watch(10);
    for (let i = 0; i < 9; i++) fleet.admit(unawaited);
    expect(() => fleet.admit(unawaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
    fleet.admit(awaited);
    expect(() => fleet.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('counts what other gateways have queued', async () => {
    const { fleet, queue } = await watch(1);
    await queue.add('a', exampleJob);
    await nextLook();
    expect(() => fleet.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('lets in again once the queue has been worked off', async () => {
    const { fleet } = await watch(1);
    fleet.admit(awaited).queued();
    expect(() => fleet.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
    await nextLook();
    expect(() => fleet.admit(awaited)).not.toThrow();
  });

  it('counts a check that is queued while the queue is being counted', async () => {
    const { fleet, queue } = await watch(2);
    const counts: ((waiting: number) => void)[] = [];
    queue.countWaiting = async () => new Promise((resolve) => counts.push(resolve));
    fleet.admit(awaited).queued();
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    fleet.admit(awaited).queued();
    counts[0]?.(1);
    await vi.advanceTimersByTimeAsync(0);
    expect(() => fleet.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('keeps the place of a slow upload over any number of looks', async () => {
    const { fleet } = await watch(1);
    fleet.admit(awaited);
    await nextLook();
    await nextLook();
    expect(() => fleet.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('gives the place of a refused request to the next one', async () => {
    const { fleet } = await watch(1);
    const place = fleet.admit(awaited);
    place.release();
    place.release();
    fleet.admit(awaited);
    expect(() => fleet.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('takes one failed look for no outage', async () => {
    const { fleet, outage } = await watch(1);
    outage.away = true;
    await vi.advanceTimersByTimeAsync(600);
    outage.away = false;
    expect(() => fleet.admit(awaited)).not.toThrow();
  });

  it('notices that Redis went away, and that it is back', async () => {
    const { fleet, outage } = await watch(1);
    outage.away = true;
    await vi.advanceTimersByTimeAsync(3000);
    expect(fleet.view()).toBeUndefined();
    expect(() => fleet.admit(awaited)).toThrow(expect.objectContaining({ code: 'unavailable' }));
    outage.away = false;
    await nextLook();
    expect(() => fleet.admit(awaited)).not.toThrow();
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
      const { fleet } = watched;
      // Just after a look: as late as can be.
      await vi.advanceTimersByTimeAsync(LOOK_MS + 1);
      const frozen = freeze(watched);
      await vi.advanceTimersByTimeAsync(1000);
      expect(fleet.findProblem()).toMatch(/cannot be reached/);
      expect(() => fleet.admit(awaited)).toThrow(expect.objectContaining({ code: 'unavailable' }));
      frozen.mockRestore();
      await nextLook();
      expect(fleet.findProblem()).toBeUndefined();
    },
  );

  it('takes no checks while only the images are away, but knows its workers', async () => {
    const { fleet, imageOutage } = await watch(1);
    imageOutage.away = true;
    await nextLook();
    expect(fleet.findProblem()).toBe('the Redis for images cannot be reached');
    expect(fleet.view()?.workers).toEqual([exampleWorker]);
  });

  it('takes no checks into a Redis that would lose them', async () => {
    const { fleet, settings } = await watch(1);
    settings.problem = 'evicts';
    expect(() => fleet.admit(awaited)).toThrow('evicts');
    settings.problem = undefined;
    expect(() => fleet.admit(awaited)).not.toThrow();
  });

  it('counts a look that took too long neither as seen nor in the queue', async () => {
    const { fleet, queue } = await watch(2);
    const late: ((waiting: number) => void)[] = [];
    const slow = vi.spyOn(queue, 'countWaiting');
    slow.mockImplementation(() => new Promise((resolve) => late.push(resolve)));
    fleet.admit(awaited).queued();
    await vi.advanceTimersByTimeAsync(LOOK_MS + 250);
    slow.mockRestore();
    late[0]?.(0);
    await vi.advanceTimersByTimeAsync(0);
    fleet.admit(awaited);
    expect(() => fleet.admit(awaited)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  });

  it('notices that the last worker is gone', async () => {
    const { fleet, registry } = await watch(1);
    await registry.withdraw(exampleWorker.id);
    await nextLook();
    expect(() => fleet.admit(awaited)).toThrow(expect.objectContaining({ code: 'unavailable' }));
  });

  it('takes no checks into a queue of another schema', async () => {
    const { fleet, queue } = await watch(1);
    queue.readSchemaVersion = async () => 2;
    await nextLook();
    expect(() => fleet.admit(awaited)).toThrow(/schema 2/);
  });

  it('takes no checks that no worker reads, until one does', async () => {
    const { fleet, registry } = await watch(1);
    await registry.announce({ ...exampleWorker, jobVersions: [JOB_VERSION - 1] });
    await nextLook();
    expect(() => fleet.admit(awaited)).toThrow(`no worker reads checks of version ${JOB_VERSION}`);
    const newer = { ...exampleWorker, id: 'newer', jobVersions: [JOB_VERSION, JOB_VERSION + 1] };
    await registry.announce(newer);
    await nextLook();
    expect(() => fleet.admit(awaited)).not.toThrow();
  });

  it('stops looking when closed', async () => {
    const { fleet, registry } = await watch(1);
    fleet.close();
    await registry.withdraw(exampleWorker.id);
    await nextLook();
    expect(fleet.view()?.workers).toHaveLength(1);
  });
});
