import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createFakeStore } from './fake-store.js';
import { findFaultOf } from './find-fault.js';
import { toModelOutcome, type ModelOutcome } from './model.js';
import type { Store } from './store.js';
import { createWorld, type RunEnd, type World } from './world.js';

// Vitest's fake timers do not replace this module.
vi.mock('node:timers/promises', () => import('./fake-timers-promises.js'));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => void vi.useRealTimers());

/** What two gateways with one key, a tenant and a worker do concurrently. */
interface Race {
  images: [number, number];
  waits: [boolean, boolean];
  /** What the tenant does to the check of the first gateway. */
  tenant: 'nothing' | 'cancel' | 'delete';
  how: RunEnd;
  /** How long storing the first gateway's image takes; after 3 s the second takes over the key. */
  storeMs: number;
}

const races: fc.Arbitrary<Race> = fc.record({
  images: fc.constantFrom<[number, number]>([10, 10], [10, 10], [10, 90]),
  waits: fc.tuple(fc.boolean(), fc.boolean()),
  tenant: fc.constantFrom('nothing', 'cancel', 'delete'),
  how: fc.constantFrom('verdict', 'verdict', 'fault', 'refusal'),
  storeMs: fc.constantFrom(0, 2900, 3000, 3100, 4000),
});

const IDS = ['00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000001'];
/** Longer than any race. */
const WAIT_MS = 1e9;
/** Far more than any race takes. */
const MAX_STEPS = 20_000;
/**
 * The fake clock advances by AT_ONCE_MS every STEPS_AT_ONCE steps, so a command takes milliseconds.
 */
const STEPS_AT_ONCE = 20;
const AT_ONCE_MS = 250;

test('a key maps to one check, and no image is left, in 2,000 races', async () => {
  const property = fc.asyncProperty(fc.scheduler(), races, run);
  expect(await findFaultOf(property, 2000)).toBeUndefined();
});

async function run(scheduler: fc.Scheduler, race: Race): Promise<void> {
  const plain = createFakeStore();
  const world = createWorld(delayFirst(disorder(plain, scheduler), race.storeMs));
  const callers = IDS.map((_, i) => submit(world, race, i));
  const tenant = act(world, race);
  let isOver = false;
  const over = Promise.all([...callers, tenant]).finally(() => (isOver = true));
  const idle = () => scheduler.schedule(Promise.resolve(), 'idle worker');
  const worker = work(world, { how: race.how, isOver: () => isOver, idle });
  await driveToEnd(scheduler, Promise.all([over, worker]));

  const records = await Promise.all(IDS.map((id) => plain.queue.read(id)));
  for (const record of records) assert(!record || record.outcome, 'a check has not ended');
  const verdicts = records.filter((record) => record?.status === 'succeeded');
  assert(verdicts.length < 2, 'a key maps to two checks');
  assert.deepEqual(await plain.imageStore.get(IDS), [undefined, undefined], 'an image is left');
  if (await tenant) await plain.requireNoTrace(IDS[0]!);
  for (const [i, caller] of callers.entries()) expectAllowed(race, i, await caller);
}

/** Resolves to the caller's outcome, or to 0 for an async check. */
async function submit(world: World, race: Race, i: number): Promise<ModelOutcome | undefined> {
  try {
    using check = await world.gateways[i]!.submitCheck({
      id: IDS[i]!,
      tenant: 'acme',
      image: Uint8Array.of(race.images[i]!),
      isAwaited: race.waits[i]!,
      takeRank: world.takeRankOf('acme', race.waits[i]!),
      idempotencyKey: 'k',
      baseUrl: '',
    });
    if (!race.waits[i]) return 0;
    const outcome = await check.awaitOutcome({
      waitMs: WAIT_MS,
      closed: new AbortController().signal,
    });
    return outcome && toModelOutcome(outcome);
  } catch (error) {
    return (error as { code: string }).code;
  }
}

function expectAllowed({ images }: Race, i: number, outcome: ModelOutcome | undefined): void {
  assert(outcome !== undefined, 'a caller got no answer');
  if (typeof outcome === 'number')
    assert([0, images[i]].includes(outcome), 'a caller got the verdict of another image');
  const isOther = images[0] !== images[1];
  assert(
    isOther || outcome !== 'idempotency_key_reused',
    'a retry with the same image was refused',
  );
}

/** True if the check was deleted. */
async function act(world: World, { tenant }: Race): Promise<boolean> {
  if (tenant === 'nothing') return false;
  for (let polls = 0; polls < 20; polls++) {
    const record = await world.store.queue.read(IDS[0]!);
    if (!record) continue;
    if (tenant === 'cancel') await world.cancelCheck(record);
    else await world.deleteCheck(record);
    return tenant === 'delete';
  }
  return false;
}

interface Work {
  how: RunEnd;
  isOver: () => boolean;
  idle: () => Promise<void>;
}

/** Works until all callers are done and the queue is empty. */
async function work(world: World, { how, isOver, idle }: Work): Promise<void> {
  for (;;) {
    const wasOver = isOver();
    const hasWorked = await world.work(how);
    if (!hasWorked && wasOver) return;
    if (!hasWorked) await idle();
  }
}

async function driveToEnd(scheduler: fc.Scheduler, all: Promise<unknown>): Promise<void> {
  let isDone = false;
  all.finally(() => (isDone = true)).catch(() => undefined);
  for (let step = 1; !isDone; step++) {
    assert(step < MAX_STEPS, 'the race does not end');
    if (scheduler.count() > 0) await scheduler.waitOne();
    if (step % STEPS_AT_ONCE === 0) vi.advanceTimersByTime(AT_ONCE_MS);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await all;
}

/** Lets the scheduler order each call and its answer. */
function disorder(store: Store, scheduler: fc.Scheduler): Store {
  const slow = <Port extends object>(port: Port): Port => {
    const methods = Object.entries(port).map(([name, method]) => [
      name,
      async (...args: unknown[]) => {
        await scheduler.schedule(Promise.resolve(), name);
        const answer = (method as (...given: unknown[]) => Promise<unknown>)(...args);
        return scheduler.schedule(answer, `answer of ${name}`);
      },
    ]);
    return Object.fromEntries(methods) as Port;
  };
  return {
    ...store,
    queue: slow(store.queue),
    imageStore: slow(store.imageStore),
    idempotencyKeys: slow(store.idempotencyKeys),
  };
}

function delayFirst(store: Store, ms: number): Store {
  const put: Store['imageStore']['put'] = async (id, bytes) => {
    if (id === IDS[0] && ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    await store.imageStore.put(id, bytes);
  };
  return { ...store, imageStore: { ...store.imageStore, put } };
}
