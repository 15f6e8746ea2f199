// Not vitest's `expect`, which takes longer than the code under test.
import assert from 'node:assert/strict';
import type { CheckOutcome } from '@livegate/core/domain';
import * as fc from 'fast-check';
import { checkOfKey, choose, known, type Model, type ModelCheck } from '../model.js';
import { type Command, compareAll, passTime, type Real, withoutTimers } from './compare.js';

const TENANT = 'acme';
export const LONGEST_WAIT_MS = 25_000;
/** No caller of a history hangs up. Each has a connection of its own, as in a gateway. */
const stayOpen = () => new AbortController().signal;

interface Submission {
  gateway: number;
  key: string | undefined;
  image: number;
  /** `undefined` for an async check. */
  waitMs: number | undefined;
}

export const submission = fc.record({
  gateway: fc.nat(1),
  key: fc.option(fc.constantFrom('k1', 'k2'), { nil: undefined }),
  image: fc.constantFrom(10, 90),
  waitMs: fc.constantFrom(undefined, 4000, LONGEST_WAIT_MS),
});

export function submit(given: Submission): Command {
  return {
    check: () => true,
    async run(model, real) {
      expectSubmitted(model, given, await withoutTimers(real, begin(real, given)));
      await compareAll(model, real);
    },
    toString: () => `submit(${JSON.stringify(given)})`,
  };
}

/** Submits with the same key at both gateways concurrently. */
export function submitTwice(one: Submission, otherImage: number): Command {
  const first = { ...one, key: 'k1', gateway: 0 };
  const second = { ...first, gateway: 1, image: otherImage };
  return {
    check: () => true,
    async run(model, real) {
      const attempts = [begin(real, first), begin(real, second)];
      let both: Submitted[] | undefined;
      void Promise.all(attempts).then((submitted) => (both = submitted));
      // The second polls every 50 ms whether the check of the first is queued.
      for (let polls = 0; !both; polls++) {
        assert(polls < 10, 'two submissions wait for each other');
        await passTime(model, real, 50);
      }
      expectSubmitted(model, first, both[0]!);
      expectSubmitted(model, second, both[1]!);
      await compareAll(model, real);
    },
    toString: () => `submitTwice(${JSON.stringify([first, second])})`,
  };
}

interface Submitted {
  ownId: string;
  submitted?: { id: string; outcome: Promise<CheckOutcome | undefined> | undefined };
  error?: { code?: string };
}

async function begin(real: Real, given: Submission): Promise<Submitted> {
  const { gateway, key, image, waitMs } = given;
  const ownId = `00000000-0000-7000-8000-${String(real.nextId++).padStart(12, '0')}`;
  const { submitCheck } = real.world.gateways[gateway]!;
  try {
    const check = await submitCheck({
      id: ownId,
      tenant: TENANT,
      image: Uint8Array.of(image),
      isAwaited: waitMs !== undefined,
      takeRank: real.world.takeRankOf(TENANT, waitMs !== undefined),
      baseUrl: '',
      ...(key !== undefined && { idempotencyKey: key }),
    });
    const release = () => check[Symbol.dispose]();
    if (waitMs === undefined) release();
    const outcome =
      waitMs === undefined
        ? undefined
        : check.awaitOutcome({ waitMs, closed: stayOpen() }).finally(release);
    return { ownId, submitted: { id: check.id, outcome } };
  } catch (error) {
    return { ownId, error: error as { code?: string } };
  }
}

function expectSubmitted(
  model: Model,
  { key, image, waitMs }: Submission,
  { ownId, submitted, error }: Submitted,
): void {
  const holder = key === undefined ? undefined : checkOfKey(model, key);
  if (holder && holder.image !== image) {
    assert.equal(error?.code, 'idempotency_key_reused');
    return;
  }
  if (error) throw error as Error;
  const id = submitted!.id;
  assert.equal(id, holder?.id ?? ownId, 'a key maps to another check');
  if (!holder) {
    model.checks.set(id, {
      id,
      image,
      key,
      job: 'queued',
      isCanceled: false,
      isUnknown: false,
      isDeleted: false,
      imageExpired: false,
      faults: 0,
      deaths: 0,
      ranAlone: false,
      lacksCleanup: false,
    });
    if (key !== undefined) model.keys.set(key, id);
  }
  if (submitted!.outcome)
    addCaller(model, { id, polls: false, waitMs: waitMs! }, submitted!.outcome);
}

export function poll(given: { pick: number; gateway: number; waitMs: number }): Command {
  return {
    check: (model) => known(model).length > 0,
    async run(model, real) {
      const { id } = choose(known(model), given.pick);
      const { awaitCheck } = real.world.gateways[given.gateway]!;
      const { waitMs } = given;
      const wait = { waitMs, closed: stayOpen() };
      addCaller(model, { id, polls: true, waitMs }, awaitCheck(id, wait));
      await real.world.store.settle();
      await compareAll(model, real);
    },
    toString: () => `poll(${JSON.stringify(given)})`,
  };
}

function addCaller(
  model: Model,
  { id, polls, waitMs }: { id: string; polls: boolean; waitMs: number },
  answer: Promise<unknown>,
): void {
  const caller: Model['callers'][number] = {
    id,
    polls,
    waitsUntilMs: model.nowMs + waitMs,
    answer: undefined,
    isDone: false,
  };
  model.callers.push(caller);
  answer.then(
    (value) => (caller.answer = { value }),
    (error: unknown) => (caller.answer = { error }),
  );
}

export function cancel(index: number): Command {
  return {
    check: (model) => known(model).length > 0,
    async run(model, real) {
      await cancelOne(model, real, choose(known(model), index));
      await compareAll(model, real);
    },
    toString: () => `cancel(${index})`,
  };
}

export async function cancelOne(_model: Model, real: Real, check: ModelCheck): Promise<void> {
  const mayCancel = check.job !== 'ended';
  assert.equal(await real.world.cancelCheck(describe(check)), mayCancel);
  if (mayCancel) check.isCanceled = true;
}

export function remove(index: number): Command {
  return {
    check: (model) => known(model).length > 0,
    async run(model, real) {
      await removeOne(model, real, choose(known(model), index));
      await compareAll(model, real);
    },
    toString: () => `remove(${index})`,
  };
}

export async function removeOne(_model: Model, real: Real, check: ModelCheck): Promise<void> {
  const record = await real.world.store.queue.read(check.id);
  await real.world.deleteCheck(record!);
  check.isUnknown = true;
  check.isDeleted = true;
  // A check that a worker has taken is removed by the worker at its end.
  if (check.job === 'queued') check.job = 'ended';
}

function describe({ id }: ModelCheck) {
  return { id, tenant: TENANT };
}
