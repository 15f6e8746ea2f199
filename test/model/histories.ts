// Not vitest's `expect`, which takes longer than the code under test.
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  cancel,
  LONGEST_WAIT_MS,
  poll,
  remove,
  submission,
  submit,
  submitTwice,
} from './commands/caller-commands.js';
import {
  type Command,
  compareAll,
  passTime,
  POLL_MS,
  type Real,
  requireNoImage,
} from './commands/compare.js';
import { expireImage, expireResult, pass } from './commands/time-commands.js';
import { conclude, die, endRun, take, takeNext } from './commands/worker-commands.js';
import type { Model } from './model.js';
import type { RunEnd, WorkerEnd } from './world.js';

/** Index of a check, modulo their number. */
const pick = fc.nat(20);
const meanwhile = fc.constantFrom('nothing', 'nothing', 'cancel', 'delete');

export const histories = fc.commands<Model, Real, false>(
  [
    submission.map(submit),
    submission.map(submit),
    fc.tuple(submission, fc.constantFrom(10, 90)).map(([one, image]) => submitTwice(one, image)),
    fc
      .record({ pick, gateway: fc.nat(1), waitMs: fc.constantFrom(4000, LONGEST_WAIT_MS) })
      .map(poll),
    pick.map(cancel),
    pick.map(remove),
    fc.constant(take()),
    fc.constant(take()),
    fc
      .record({
        pick,
        how: fc.constantFrom<RunEnd>('verdict', 'verdict', 'refusal', 'fault', 'fault'),
        worker: fc.constantFrom<WorkerEnd>('finishes', 'finishes', 'loses its reply', 'dies'),
        beforeEnd: meanwhile,
        beforeFinish: meanwhile,
      })
      .map(endRun),
    pick.map(die),
    pick.map(expireImage),
    pick.map(expireResult),
    fc.constant(pass(POLL_MS)),
  ] as fc.Arbitrary<Command>[],
  { maxCommands: 40, size: 'max' },
);

/** Ends the history: all queued checks run, and every caller must get its answer. */
export async function playOut(model: Model, real: Real): Promise<void> {
  for (const id of real.runs.keys()) {
    await conclude(model, real, { id, how: 'verdict', worker: 'finishes' });
  }
  for (let left = model.checks.size * 4; left > 0; left--) {
    const id = await takeNext(model, real);
    if (id === undefined) break;
    if (real.runs.has(id)) {
      await conclude(model, real, { id, how: 'verdict', worker: 'finishes' });
    }
  }
  await compareAll(model, real);
  await passTime(model, real, POLL_MS);
  const { world } = real;
  for (const { id, isDeleted, lacksCleanup } of model.checks.values()) {
    if (isDeleted && !lacksCleanup) await world.store.requireNoTrace(id);
  }
  // Every gateway does this once a minute.
  for (const check of await world.store.queue.listHidden()) await world.deleteCheck(check);
  const waiting = model.callers.filter(({ isDone }) => !isDone);
  assert.deepEqual(waiting, [], 'a caller was left without an answer');
  for (const check of model.checks.values()) {
    assert.equal(check.job, 'ended');
    if (check.isDeleted) await world.store.requireNoTrace(check.id);
    // If its worker died before deleting the image, the image expires.
    if (!check.lacksCleanup) await requireNoImage(check, real);
  }
}
