import { createLeases, type Flows, noFlows, type RankRequest } from '@livegate/core/domain';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createQueueEstimate } from './queue-estimate.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

const ask = (tenant: string, ms: number, maxWaitMs?: number): RankRequest => ({
  tenant,
  isAwaited: true,
  weight: 1,
  ms,
  ...(maxWaitMs !== undefined && { maxWaitMs }),
});

/** A queue of awaited checks, with this time of each tenant queued. */
function flowsOf(msByTenant: Record<string, number>): Flows {
  const flows = Object.entries(msByTenant).map(
    ([tenant, tag]) => [`awaited:${tenant}`, { tag, weight: 1 }] as const,
  );
  return { ...noFlows, flows: new Map(flows) };
}

function open(maxWaiting = 100) {
  const leases = createLeases();
  const estimate = createQueueEstimate({ maxWaiting, leases });
  /** The wait of a check, as a refusal of any wait says it. */
  const waitOf = (tenant: string) => {
    try {
      estimate.take(ask(tenant, 0, -Infinity)).release();
    } catch (error) {
      return Number(/\d+/.exec((error as Error).message)?.[0]);
    }
    return undefined;
  };
  return { ...estimate, waitOf, held: () => leases.held().admission_place };
}

it('a check waits for those admitted before it, until they are released', () => {
  const { take, waitOf, held } = open();
  expect(waitOf('a')).toBe(0);
  const places = [take(ask('a', 300)), take(ask('a', 200))];
  expect(waitOf('a')).toBe(500);
  expect(held()).toBe(2);
  places[0]!.release();
  expect(waitOf('a')).toBe(200);
  places[1]!.release();
  expect(waitOf('a')).toBe(0);
  expect(held()).toBe(0);
});

it('a place counts the time of its check once that is known', () => {
  const { take, waitOf } = open();
  const place = take(ask('a', 300));
  place.resize(50);
  expect(waitOf('a')).toBe(50);
  place.resize(70);
  expect(waitOf('a')).toBe(70);
  place.queued();
  expect(waitOf('a')).toBe(70);
  place.release();
  expect(waitOf('a')).toBe(70);
});

it('a check without a limit on its wait is admitted whatever is queued', () => {
  const { take } = open();
  take(ask('a', 1e9));
  expect(() => take(ask('a', 1))).not.toThrow();
  expect(() => take(ask('a', 1, 1e9 + 1))).not.toThrow();
  expect(() => take(ask('a', 1, 1e9 + 1))).toThrow(expect.objectContaining({ code: 'overloaded' }));
});

it('the time since the last count began is taken for work that is done', () => {
  const { beginCount, waitOf } = open();
  vi.advanceTimersByTime(5000);
  const counted = beginCount();
  vi.advanceTimersByTime(100);
  counted({ flows: flowsOf({ a: 1000 }), waiting: 5 });
  vi.advanceTimersByTime(200);
  expect(waitOf('a')).toBe(700);
});

it('a count replaces what was queued before it began, and nothing else', () => {
  const { take, beginCount, waitOf } = open();
  take(ask('a', 10)).queued();
  take(ask('b', 40)).queued();
  take(ask('a', 1000));
  const counted = beginCount();
  take(ask('a', 200)).queued();
  counted({ flows: noFlows, waiting: 0 });
  expect(waitOf('a')).toBe(1200);
  expect(waitOf('b')).toBe(0);
});

it('a tenant gets places by its share of the queue, and a refusal names both', () => {
  const { beginCount, take } = open(12);
  beginCount()({ flows: flowsOf({ a: 100, b: 300 }), waiting: 8 });
  // Three places are left after this one, and a has two of eight in the queue.
  take(ask('a', 1));
  expect(() => take(ask('a', 1))).toThrow('9 of 12 checks wait, 3 of them of this tenant');
  expect(() => take(ask('b', 1))).toThrow('9 of 12 checks wait, 6 of them of this tenant');
  for (const tenant of ['c', 'd', 'e']) take(ask(tenant, 1));
  expect(() => take(ask('f', 1))).toThrow('12 of 12 checks wait, 0 of them of this tenant');
});

it('a tenant has its own places back once they are released', () => {
  const { take } = open(4);
  const place = take(ask('a', 1));
  take(ask('a', 1));
  expect(() => take(ask('a', 1))).toThrow('2 of 4 checks wait, 2 of them of this tenant');
  place.release();
  expect(() => take(ask('a', 1))).not.toThrow();
});

it('places of queued checks are counted until a count replaces them', () => {
  const { take, beginCount } = open(4);
  const queueTwo = () => {
    for (let n = 0; n < 2; n++) take(ask('a', 1)).queued();
    expect(() => take(ask('a', 1))).toThrow('2 of 4 checks wait, 2 of them of this tenant');
  };
  queueTwo();
  beginCount()({ flows: noFlows, waiting: 0 });
  queueTwo();
});

it('an async check and an awaited one of a tenant are counted apart', () => {
  const { take } = open(4);
  take({ ...ask('a', 1), isAwaited: false });
  take(ask('a', 1));
  expect(() => take(ask('a', 1))).toThrow('2 of 4 checks wait, 1 of them of this tenant');
});
