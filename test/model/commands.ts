// Not vitest's `expect`, which takes longer than the code under test.
import assert from 'node:assert/strict';
import type { CheckOutcome, CheckRecord } from '@livegate/core/domain';
import * as fc from 'fast-check';
import { vi } from 'vitest';
import {
  checkOfKey,
  type Model,
  type ModelCheck,
  statusOf,
  type ModelOutcome,
  outcomeOf,
  toModelOutcome,
} from './model.js';
import type { Run, RunEnd, WorkerEnd, World } from './world.js';

const TENANT = 'acme';
/** No caller of a history hangs up. */
const { signal: closed } = new AbortController();
/** Within this, a waiting caller polls the queue, so it finds an outcome whose reply was lost. */
const POLL_MS = 3000;
const LONGEST_WAIT_MS = 25_000;
/** Fewer than the stalls after which BullMQ fails a job. */
const MAX_DEATHS = 3;

/** The product and its present runs. */
export interface Real {
  world: World;
  /** Runs in the engine, by id of the check. */
  runs: Map<string, Run>;
  nextId: number;
}

type Command = fc.AsyncCommand<Model, Real>;

interface Submission {
  gateway: number;
  key: string | undefined;
  image: number;
  /** `undefined` for an async check. */
  waitMs: number | undefined;
}

const submission = fc.record({
  gateway: fc.nat(1),
  key: fc.option(fc.constantFrom('k1', 'k2'), { nil: undefined }),
  image: fc.constantFrom(10, 90),
  waitMs: fc.constantFrom(undefined, 4000, LONGEST_WAIT_MS),
});
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

function submit(given: Submission): Command {
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
function submitTwice(one: Submission, otherImage: number): Command {
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

/** Awaits work that must not wait for a timer. */
async function withoutTimers<Result>(real: Real, work: Promise<Result>): Promise<Result> {
  let isDone = false;
  work.finally(() => (isDone = true)).catch(() => undefined);
  await real.world.store.settle();
  assert(isDone, 'the work waits for a timer');
  return work;
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
      waitMs === undefined ? undefined : check.awaitOutcome({ waitMs, closed }).finally(release);
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

function poll(given: { pick: number; gateway: number; waitMs: number }): Command {
  return {
    check: (model) => known(model).length > 0,
    async run(model, real) {
      const { id } = choose(known(model), given.pick);
      const { awaitCheck } = real.world.gateways[given.gateway]!;
      const { waitMs } = given;
      addCaller(model, { id, polls: true, waitMs }, awaitCheck(id, { waitMs, closed }));
      await real.world.store.settle();
      await compareAll(model, real);
    },
    toString: () => `poll(${JSON.stringify(given)})`,
  };
}

function cancel(index: number): Command {
  return {
    check: (model) => known(model).length > 0,
    async run(model, real) {
      await cancelOne(model, real, choose(known(model), index));
      await compareAll(model, real);
    },
    toString: () => `cancel(${index})`,
  };
}

async function cancelOne(_model: Model, real: Real, check: ModelCheck): Promise<void> {
  const mayCancel = check.job !== 'ended';
  assert.equal(await real.world.cancelCheck(describe(check)), mayCancel);
  if (mayCancel) check.isCanceled = true;
}

function remove(index: number): Command {
  return {
    check: (model) => known(model).length > 0,
    async run(model, real) {
      await removeOne(model, real, choose(known(model), index));
      await compareAll(model, real);
    },
    toString: () => `remove(${index})`,
  };
}

async function removeOne(_model: Model, real: Real, check: ModelCheck): Promise<void> {
  const record = await real.world.store.queue.read(check.id);
  await real.world.deleteCheck(record!);
  check.isUnknown = true;
  check.isDeleted = true;
  // A check that a worker has taken is removed by the worker at its end.
  if (check.job === 'queued') check.job = 'ended';
}

function take(): Command {
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
async function takeNext(model: Model, real: Real): Promise<string | undefined> {
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

function endRun(given: EndRun): Command {
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

async function conclude(
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

function die(index: number): Command {
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

function expireImage(index: number): Command {
  return {
    check: (model) => known(model).length > 0,
    async run(model, real) {
      const check = choose(known(model), index);
      await real.world.store.imageStore.delete(check.id);
      check.imageExpired = true;
      await compareAll(model, real);
    },
    toString: () => `expireImage(${index})`,
  };
}

/** Expires a result with its key and image, whose TTLs started earlier. */
function expireResult(index: number): Command {
  const ended = (model: Model) => known(model).filter(({ job }) => job === 'ended');
  return {
    check: (model) => ended(model).length > 0,
    async run(model, real) {
      const check = choose(ended(model), index);
      const { store } = real.world;
      const { id, tenant, keySha256 } = (await store.queue.read(check.id))!;
      if (keySha256 !== undefined) await store.idempotencyKeys.release({ tenant, keySha256 }, id);
      await store.imageStore.delete(id);
      await store.expireResult(id);
      check.isUnknown = true;
      await compareAll(model, real);
    },
    toString: () => `expireResult(${index})`,
  };
}

function pass(ms: number): Command {
  return {
    check: () => true,
    run: (model, real) => passTime(model, real, ms),
    toString: () => `pass(${ms})`,
  };
}

/** Advances the clock. After POLL_MS, every caller of an ended check has polled its outcome. */
async function passTime(model: Model, real: Real, ms: number): Promise<void> {
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

/** Compares all checks, images and answers with the model. */
async function compareAll(model: Model, real: Real): Promise<void> {
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

async function requireNoImage({ id }: ModelCheck, { world }: Real): Promise<void> {
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

function known(model: Model): ModelCheck[] {
  return [...model.checks.values()].filter(({ isUnknown }) => !isUnknown);
}

function running(model: Model): ModelCheck[] {
  return [...model.checks.values()].filter(({ job }) => job === 'running');
}

function choose<Item>(items: Item[], index: number): Item {
  return items[index % items.length]!;
}

function describe({ id }: ModelCheck) {
  return { id, tenant: TENANT };
}
