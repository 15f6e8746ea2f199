// Not vitest's `expect`, which takes longer than the code under test.
import assert from 'node:assert/strict';
import type { CheckOutcome, CheckRecord } from '@livegate/core/domain';
import type * as fc from 'fast-check';
import { vi } from 'vitest';
import { type Model, type ModelCheck, outcomeOf, statusOf, toModelOutcome } from '../model.js';
import type { Run, World } from '../world.js';

/** Within this, a waiting caller polls the queue, so it finds an outcome whose reply was lost. */
export const POLL_MS = 3000;

/** The product and its present runs. */
export interface Real {
  world: World;
  /** Runs in the engine, by id of the check. */
  runs: Map<string, Run>;
  nextId: number;
}

export type Command = fc.AsyncCommand<Model, Real>;

/** Compares all checks, images and answers with the model. */
export async function compareAll(model: Model, real: Real): Promise<void> {
  const { queue } = real.world.store;
  for (const check of model.checks.values()) {
    const record = await queue.read(check.id);
    assert.equal(record?.status, statusOf(check));
    assert.equal(record?.outcome && toModelOutcome(record.outcome), outcomeOf(check));
    if (check.isCanceled || check.isDeleted) await requireNoImage(check, real);
  }
  for (const caller of model.callers) {
    if (caller.isDone || !caller.answer) continue;
    caller.isDone = true;
    if (caller.answer.error !== undefined) throw caller.answer.error as Error;
    const check = model.checks.get(caller.id)!;
    const isTimeUp = caller.waitsUntilMs <= model.nowMs;
    if (caller.polls) expectPolled(check, isTimeUp, caller.answer.value as CheckRecord | undefined);
    else expectAnswered(check, isTimeUp, caller.answer.value as CheckOutcome | undefined);
  }
}

export async function requireNoImage({ id }: ModelCheck, { world }: Real): Promise<void> {
  const [image] = await world.store.imageStore.get([id]);
  assert.equal(image, undefined, 'an image outlives its check');
}

function expectPolled(check: ModelCheck, isTimeUp: boolean, record: CheckRecord | undefined): void {
  assert.equal(record?.status, statusOf(check));
  const isOver = check.isUnknown || outcomeOf(check) !== undefined;
  assert(isOver || isTimeUp, 'a poll ended before the check and its time');
}

function expectAnswered(
  check: ModelCheck,
  isTimeUp: boolean,
  outcome: CheckOutcome | undefined,
): void {
  if (!outcome) {
    assert(isTimeUp, 'a caller got no outcome before its wait time ended');
    return;
  }
  // An unknown check was answered by its outcome or as canceled before.
  const allowed = check.isUnknown ? ['canceled', check.outcome] : [outcomeOf(check)];
  assert(
    allowed.includes(toModelOutcome(outcome)),
    `${toModelOutcome(outcome)} instead of ${allowed.join()}`,
  );
}

/** Advances the clock. After POLL_MS, every caller of an ended check has polled its outcome. */
export async function passTime(model: Model, real: Real, ms: number): Promise<void> {
  model.nowMs += ms;
  vi.advanceTimersByTime(ms);
  await real.world.store.settle();
  await compareAll(model, real);
  if (ms < POLL_MS) return;
  for (const caller of model.callers.filter(({ isDone }) => !isDone)) {
    const check = model.checks.get(caller.id)!;
    assert(
      !check.isUnknown && outcomeOf(check) === undefined,
      'a caller of an ended check waits on',
    );
    assert(caller.waitsUntilMs > model.nowMs, 'a caller waits longer than its wait time');
  }
}

/** Awaits work that must not wait for a timer. */
export async function withoutTimers<Result>(real: Real, work: Promise<Result>): Promise<Result> {
  let isDone = false;
  work.finally(() => (isDone = true)).catch(() => undefined);
  await real.world.store.settle();
  assert(isDone, 'the work waits for a timer');
  return work;
}
