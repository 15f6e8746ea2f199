// Not vitest's `expect`, which takes longer than the code under test.
import assert from 'node:assert/strict';
import {
  choose,
  type Model,
  type ModelCheck,
  type ModelOutcome,
  running,
  toModelOutcome,
} from '../model.js';
import type { RunEnd, WorkerEnd } from '../world.js';
import { cancelOne, removeOne } from './caller-commands.js';
import { type Command, compareAll, type Real, withoutTimers } from './compare.js';

/** Fewer than the stalls after which BullMQ fails a job. */
const MAX_DEATHS = 3;

export function take(): Command {
  return {
    check: () => true,
    async run(model, real) {
      await takeNext(model, real);
      await compareAll(model, real);
    },
    toString: () => 'take()',
  };
}

/** Resolves to the id of the taken check. */
export async function takeNext(model: Model, real: Real): Promise<string | undefined> {
  const taken = await real.world.take();
  if (!taken) {
    const queued = [...model.checks.values()].filter(({ job }) => job === 'queued');
    assert.deepEqual(queued, [], 'the queue does not return a queued check');
    return undefined;
  }
  const { run, isHeld } = taken;
  const check = model.checks.get(run.id)!;
  assert.equal(check.job, 'queued');
  check.job = 'running';
  const refusal = refusalOf(check);
  assert.equal(isHeld, refusal === undefined, 'a check must reach an engine if it is not refused');
  if (refusal === undefined) {
    real.runs.set(run.id, run);
    if (check.deaths > 0) check.ranAlone = true;
    return run.id;
  }
  await withoutTimers(real, run.attempt);
  const concluded = await run.conclude({ worker: 'finishes' });
  end(check, refusal, 'finishes');
  await real.world.store.settle();
  expectReply(model, check);
  assert.deepEqual(concluded, { outcome: { error: refusal } });
  return run.id;
}

/** Why the worker ends a check before it reaches an engine. */
function refusalOf(check: ModelCheck): string | undefined {
  if (check.ranAlone && check.faults === 0) return 'internal_error';
  if (check.isCanceled || check.isUnknown) return 'canceled';
  return check.imageExpired ? 'image_expired' : undefined;
}

interface EndRun {
  pick: number;
  how: RunEnd;
  worker: WorkerEnd;
  beforeEnd: string;
  beforeFinish: string;
}

export function endRun(given: EndRun): Command {
  return {
    check: (model) => running(model).length > 0,
    async run(model, real) {
      const { id } = choose(running(model), given.pick);
      await conclude(model, real, { ...given, id });
      await compareAll(model, real);
    },
    toString: () => `endRun(${JSON.stringify(given)})`,
  };
}

export async function conclude(
  model: Model,
  real: Real,
  given: Partial<EndRun> & { id: string; how: RunEnd; worker: WorkerEnd },
): Promise<void> {
  const { id, how, worker } = given;
  const check = model.checks.get(id)!;
  const run = real.runs.get(id)!;
  real.runs.delete(id);
  const isUnwanted = check.isCanceled || check.isUnknown;
  run.end(how);
  await withoutTimers(real, run.attempt);
  const concluded = await run.conclude({
    worker,
    beforeEnd: () => happen(model, real, { check, what: given.beforeEnd }),
    beforeFinish: async () => {
      end(check, outcomeOfRun({ check, how, isUnwanted }), worker);
      await happen(model, real, { check, what: given.beforeFinish });
    },
  });
  if (concluded !== 'retried') {
    assert.equal(toModelOutcome(concluded.outcome), check.outcome);
  } else {
    assert.equal(how, 'fault');
    check.faults += 1;
    check.job = 'queued';
  }
  await real.world.store.settle();
  if (concluded !== 'retried' && worker === 'finishes') expectReply(model, check);
}

/** Every caller has its reply without polling. A deletion also deletes the reply addresses. */
function expectReply(model: Model, check: ModelCheck): void {
  if (check.isUnknown) return;
  const waiting = model.callers.filter(({ id, answer }) => id === check.id && !answer);
  assert.deepEqual(waiting, [], 'a reply did not arrive');
}

function outcomeOfRun(ended: {
  check: ModelCheck;
  how: RunEnd;
  isUnwanted: boolean;
}): ModelOutcome {
  const { check, how, isUnwanted } = ended;
  if (how === 'refusal') return 'invalid_image';
  if (how === 'fault') return 'internal_error';
  return isUnwanted ? 'canceled' : check.image;
}

async function happen(
  model: Model,
  real: Real,
  { check, what }: { check: ModelCheck; what: string | undefined },
): Promise<void> {
  if (check.isUnknown) return;
  if (what === 'cancel') await cancelOne(model, real, check);
  if (what === 'delete') await removeOne(model, real, check);
}

function end(check: ModelCheck, outcome: ModelOutcome, worker: WorkerEnd): void {
  assert.equal(check.job, 'running', 'a check ends twice');
  check.job = 'ended';
  check.outcome = outcome;
  check.lacksCleanup = worker === 'dies';
}

export function die(index: number): Command {
  const mortal = (model: Model) => running(model).filter(({ deaths }) => deaths < MAX_DEATHS);
  return {
    check: (model) => mortal(model).length > 0,
    async run(model, real) {
      const check = choose(mortal(model), index);
      const run = real.runs.get(check.id)!;
      real.runs.delete(check.id);
      await run.die();
      check.deaths += 1;
      check.job = 'queued';
      await compareAll(model, real);
    },
    toString: () => `die(${index})`,
  };
}
