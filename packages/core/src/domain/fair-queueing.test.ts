import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  advanceClock,
  type Flows,
  flowName,
  HEAD_START_MS,
  laneOf,
  nextTag,
  noFlows,
  type QueuedCheck,
  queuedMs,
  refuseWait,
  toQueuedCheck,
  totalQueuedMs,
  waitBefore,
  withCheck,
  withDelayed,
} from './fair-queueing.js';

interface Queued extends QueuedCheck {
  tag: number;
}

/** A queue that runs the check with the lowest tag, which takes the time that the check says. */
function createQueue() {
  let state: Flows = noFlows;
  let queued: Queued[] = [];
  let elapsedMs = 0;
  const advance = () => {
    const head = queued.length > 0 ? Math.min(...queued.map(({ tag }) => tag)) : undefined;
    state = advanceClock(state, { head, elapsedMs, untaggedMs: 0 });
    elapsedMs = 0;
    return state;
  };
  return {
    state: advance,
    get queued(): readonly Queued[] {
      return queued;
    },
    add(check: QueuedCheck) {
      const present = advance();
      queued.push({ ...check, tag: nextTag(present, check) });
      state = withCheck(present, check);
    },
    run(): Queued | undefined {
      const [first] = queued.toSorted((a, b) => a.tag - b.tag);
      queued = queued.filter((check) => check !== first);
      elapsedMs += first?.ms ?? 0;
      return first;
    },
  };
}

const checkOf = (tenant: string, ms: number, weight = 1): QueuedCheck => ({
  flow: flowName(tenant, 'awaited'),
  weight,
  ms,
});

const times = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 20, maxLength: 60 });
const weights = fc.integer({ min: 1, max: 5 });

test('two tenants that always have checks waiting get work by their weights, within one check', () => {
  fc.assert(
    fc.property(times, times, weights, weights, (a, b, weightOfA, weightOfB) => {
      const queue = createQueue();
      for (const ms of a) queue.add(checkOf('a', ms, weightOfA));
      for (const ms of b) queue.add(checkOf('b', ms, weightOfB));
      const served = { a: 0, b: 0 };
      for (;;) {
        const check = queue.run()!;
        if (check.flow.endsWith('a')) served.a += check.ms / weightOfA;
        else served.b += check.ms / weightOfB;
        const isWaiting = (name: string) => queue.queued.some(({ flow }) => flow.endsWith(name));
        if (!isWaiting('a') || !isWaiting('b')) return;
        expect(Math.abs(served.a - served.b)).toBeLessThanOrEqual(HEAD_START_MS + 200);
      }
    }),
  );
});

test('the checks of one tenant run in their order', () => {
  const events = fc.array(fc.oneof(fc.constant('run'), fc.constantFrom('a', 'b', 'c')));
  fc.assert(
    fc.property(events, (all) => {
      const queue = createQueue();
      const added = new Map<string, number>();
      const ran = new Map<string, number[]>();
      for (const event of [...all, ...Array<string>(all.length).fill('run')]) {
        if (event === 'run') {
          const check = queue.run();
          if (check) ran.set(check.flow, [...(ran.get(check.flow) ?? []), check.ms]);
        } else {
          const { flow } = checkOf(event, 1);
          added.set(flow, (added.get(flow) ?? 0) + 1);
          queue.add(checkOf(event, added.get(flow)!));
        }
      }
      for (const [flow, count] of added) {
        expect(ran.get(flow)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
      }
    }),
  );
});

test('a tenant without queued checks waits for less than its own time, whatever another one has queued', () => {
  fc.assert(
    fc.property(times, fc.nat(19), (flood, done) => {
      const queue = createQueue();
      for (const ms of flood) queue.add(checkOf('flood', ms));
      for (let i = 0; i < done; i++) queue.run();
      const check = checkOf('other', 20);
      expect(waitBefore(queue.state(), check)).toBe(0);
      queue.add(check);
      let before = 0;
      for (let next = queue.run()!; next.flow !== check.flow; next = queue.run()!)
        before += next.ms;
      expect(before).toBeLessThanOrEqual(check.ms);
    }),
  );
});

test('the time that is queued is counted to within one check of each tenant and its head start', () => {
  const adds = fc.array(
    fc.record({
      tenant: fc.constantFrom('a', 'b', 'c'),
      ms: fc.integer({ min: 1, max: 200 }),
      runs: fc.nat(2),
    }),
    { maxLength: 100 },
  );
  // A queue that is often empty: only the time that passes lets the clock go on.
  const oneByOne = Array.from({ length: 10 }, () => ({ tenant: 'a', ms: 100, runs: 1 }));
  fc.assert(
    fc.property(adds, (all) => {
      const queue = createQueue();
      for (const { tenant, ms, runs } of all) {
        queue.add(checkOf(tenant, ms));
        for (let i = 0; i < runs; i++) queue.run();
        const state = queue.state();
        for (const name of ['a', 'b', 'c']) {
          const { flow } = checkOf(name, 0);
          const own = queue.queued.filter((check) => check.flow === flow);
          const real = own.reduce((sum, check) => sum + check.ms, 0);
          expect(Math.abs(queuedMs(state, flow) - real)).toBeLessThanOrEqual(HEAD_START_MS + 400);
        }
      }
    }),
    { examples: [[oneByOne]] },
  );
});

test('a check waits no longer than all that is queued', () => {
  fc.assert(
    fc.property(times, times, (a, b) => {
      const queue = createQueue();
      for (const ms of a) queue.add(checkOf('a', ms));
      for (const ms of b) queue.add(checkOf('b', ms));
      const state = queue.state();
      for (const name of ['a', 'b', 'c']) {
        const waitMs = waitBefore(state, checkOf(name, 1));
        expect(waitMs).toBeLessThanOrEqual(totalQueuedMs(state) + 1e-6);
      }
    }),
  );
});

test('the wait of a check is known to within one check of each tenant and the head start', () => {
  const names = fc.constantFrom('a', 'b', 'c');
  fc.assert(
    fc.property(times, times, names, (a, b, name) => {
      const queue = createQueue();
      for (const ms of a) queue.add(checkOf('a', ms));
      for (const ms of b) queue.add(checkOf('b', ms));
      const check = checkOf(name, 1);
      const expected = waitBefore(queue.state(), check);
      queue.add(check);
      const last = queue.queued.at(-1)!;
      let before = 0;
      for (let next = queue.run()!; next.tag < last.tag; next = queue.run()!) before += next.ms;
      expect(Math.abs(before - expected)).toBeLessThanOrEqual(HEAD_START_MS + 400);
    }),
  );
});

test('queued time is counted by lane, and checks without a rank run before all others', () => {
  const checks = [true, false].map((isAwaited) =>
    toQueuedCheck({ tenant: 'a', isAwaited, weight: 1, ms: isAwaited ? 20 : 300 }),
  );
  expect(checks.map(({ flow }) => flow)).toEqual([
    flowName('a', 'awaited'),
    flowName('a', 'async'),
  ]);
  expect(checks.map(({ flow }) => laneOf(flow))).toEqual(['awaited', 'async']);
  const state = checks.reduce(withCheck, { ...noFlows, untaggedMs: 7 });
  expect(totalQueuedMs(state)).toBeCloseTo(327, 6);
  expect(totalQueuedMs(state, 'awaited')).toBeCloseTo(27, 6);
  expect(totalQueuedMs(state, 'async')).toBeCloseTo(300, 6);
  expect(waitBefore(state, checkOf('b', 1))).toBe(7);
});

test('a refusal says when half of the longest wait will be left, but at least a second', () => {
  expect(refuseWait(7000.4, 5000)).toMatchObject({
    code: 'overloaded',
    detail: 'it would wait 7000 ms, the limit is 5000 ms',
    retryAfterSeconds: 5,
  });
  expect(refuseWait(300, 200).retryAfterSeconds).toBe(1);
});

test('the clock follows the first tag in the queue, and flows behind it are forgotten', () => {
  const flows = new Map(['a', 'b'].map((name, i) => [name, { tag: 1500 + 1000 * i, weight: 1 }]));
  const now = advanceClock({ clock: 100, flows }, { head: 2000, elapsedMs: 50, untaggedMs: 7 });
  const left = new Map([['b', { tag: 2500, weight: 1 }]]);
  expect(now).toEqual({ clock: 1500, head: 2000, untaggedMs: 7, flows: left });
  const stay = { elapsedMs: 50, untaggedMs: 0 };
  expect(advanceClock(now, { head: 1800, ...stay })).toMatchObject({ clock: 1500, head: 1800 });
  // Its check is stalled, or of a gateway whose flows have expired.
  const alone = advanceClock({ clock: 100, flows: new Map() }, { head: 2000, ...stay });
  expect(alone).toMatchObject({ clock: 1500, head: 2000 });
});

test('an async flow gets a tenth of the work beside an awaited one, and all of it alone', () => {
  const queue = createQueue();
  const [awaited, async] = [true, false].map((isAwaited) =>
    toQueuedCheck({ tenant: 'a', isAwaited, weight: 1, ms: 20 }),
  );
  for (let i = 0; i < 300; i++) [awaited!, async!].forEach(queue.add);
  const beside = Array.from({ length: 200 }, () => queue.run()!.flow);
  expect(beside.filter((flow) => flow === 'async:a')).toHaveLength(20);
  const rest = Array.from({ length: 400 }, () => queue.run()!.flow);
  expect(rest.slice(-200).every((flow) => flow === 'async:a')).toBe(true);
});

test('flows are forgotten once the queue is empty and its time has passed', () => {
  const state = withCheck(noFlows, checkOf('a', 50));
  const soon = advanceClock(state, { elapsedMs: 20, untaggedMs: 0 });
  expect(queuedMs(soon, 'awaited:a')).toBe(30);
  expect(advanceClock(soon, { elapsedMs: 30, untaggedMs: 0 })).toEqual(noFlows);
});

test('a delayed check is counted for its own flow by the part of its time that the head has passed', () => {
  const other = { tag: 900, weight: 2 };
  const state = { clock: 500, head: 1000, untaggedMs: 0, flows: new Map([['awaited:b', other]]) };
  const delayed = { ...checkOf('a', 400, 2), tag: 800 };
  const passed = withDelayed(state, [delayed, delayed]);
  expect(queuedMs(passed, 'awaited:a')).toBe(800);
  expect(waitBefore(passed, checkOf('c', 1))).toBe(0);
  expect(passed.flows.get('awaited:b')).toEqual(other);
  expect(queuedMs(withDelayed(state, [{ ...delayed, tag: 1050 }]), 'awaited:a')).toBe(300);
  // Its time is a part of what its flow has queued.
  expect(withDelayed(state, [{ ...delayed, tag: 1200 }])).toEqual(state);
  const queued = withCheck(state, checkOf('a', 100));
  expect(queuedMs(withDelayed(queued, [delayed]), 'awaited:a')).toBe(400);
});
