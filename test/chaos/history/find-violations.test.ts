import { describe, expect, it } from 'vitest';
import { findViolations, type Promises } from './find-violations.js';
import type { Fact, HistoryEvent } from './history.js';

const promises: Promises = {
  endingOf: (image) => image,
  isNotified: (tenant) => tenant === 'acme',
  graceMs: 10,
  attemptMs: 100,
};

type Change = (event: HistoryEvent, index: number) => HistoryEvent[];

const at = (time: number, fact: Fact): HistoryEvent => ({ at: time, ...fact }) as HistoryEvent;
const sent = { kind: 'sent', tenant: 'acme', image: 7, limitMs: 1000 } as const;
const answered = { kind: 'answered', isDocumented: true } as const;
const read = { kind: 'read', from: 0 } as const;

/** One check of each kind: waited for, async, deleted, canceled; and one refused request. */
const good: HistoryEvent[] = [
  at(0, { ...sent, call: 0, key: 'k' }),
  at(0, { ...sent, call: 1, key: 'k' }),
  at(1, { ...sent, call: 2, tenant: 'other', image: 8 }),
  at(1, { ...sent, call: 3 }),
  at(1, { ...sent, call: 4 }),
  at(1, { ...sent, call: 5 }),
  at(2, { ...answered, call: 2, status: 202, id: 'async' }),
  at(2, { ...answered, call: 3, status: 202, id: 'deleted' }),
  at(2, { ...answered, call: 4, status: 202, id: 'canceled' }),
  at(2, { ...answered, call: 5, status: 503, error: 'overloaded' }),
  at(3, { ...read, id: 'async', status: 'queued' }),
  at(4, { kind: 'asked', what: 'cancel', id: 'canceled' }),
  at(5, { kind: 'done', what: 'cancel', id: 'canceled' }),
  at(6, { kind: 'asked', what: 'delete', id: 'deleted' }),
  at(7, { kind: 'done', what: 'delete', id: 'deleted' }),
  at(8, { ...answered, call: 0, status: 200, id: 'waited', ending: 7 }),
  at(9, { ...answered, call: 1, status: 200, id: 'waited', ending: 7 }),
  at(10, { kind: 'notified', id: 'waited', ending: 7 }),
  at(11, { kind: 'notified', id: 'canceled', ending: 'canceled' }),
  at(21, { ...read, from: 20, id: 'waited', status: 'succeeded', ending: 7 }),
  at(22, { ...read, from: 21, id: 'async', status: 'succeeded', ending: 8 }),
  at(23, { ...read, from: 22, id: 'deleted', status: 'gone' }),
  at(24, { ...read, from: 23, id: 'canceled', status: 'canceled', ending: 'canceled' }),
  at(25, { kind: 'left', what: 'images', count: 3 }),
  at(26, { kind: 'left', what: 'images', count: 0 }),
];

/** The good history with some events replaced. */
const alter = (change: Change) => good.flatMap(change);
const swap = (index: number, ...events: HistoryEvent[]) =>
  alter((event, i) => (i === index ? events : [event]));
const indexOf = (find: (event: HistoryEvent) => boolean) => {
  const index = good.findIndex(find);
  if (index < 0) throw new Error('no such event');
  return index;
};
const answerOf = (call: number) =>
  indexOf((event) => event.kind === 'answered' && event.call === call);
const readOf = (id: string) =>
  good.findLastIndex((event) => event.kind === 'read' && event.id === id);
const noticeOf = (id: string) => indexOf((event) => event.kind === 'notified' && event.id === id);

const bad: [string, HistoryEvent[], RegExp][] = [
  ['a caller without an answer', swap(answerOf(5)), /call 5 got no answer/],
  ['a lost caller', swap(answerOf(5), at(3, { kind: 'lost', call: 5 })), /call 5 got no answer/],
  [
    'an answer after the limit',
    swap(answerOf(1), at(1011, { ...answered, call: 1, status: 200, id: 'waited', ending: 7 })),
    /call 1 was answered after 1011 ms/,
  ],
  [
    'an answer that is not JSON',
    swap(answerOf(5), at(3, { ...answered, call: 5, status: 503, isDocumented: false })),
    /call 5 got an answer that is not documented/,
  ],
  [
    'an internal error',
    swap(answerOf(5), at(3, { ...answered, call: 5, status: 500, error: 'internal_error' })),
    /call 5 failed with 500/,
  ],
  [
    'an accepted request without an id',
    swap(answerOf(2), at(3, { ...answered, call: 2, status: 202 })),
    /call 2 got no id/,
  ],
  [
    'a check that does not end',
    swap(readOf('async'), at(30, { ...read, from: 29, id: 'async', status: 'processing' })),
    /async has not ended: processing/,
  ],
  [
    'a check that nobody reads again',
    alter((event) =>
      'id' in event && event.id === 'async' && event.kind === 'read' ? [] : [event],
    ),
    /async has not ended: never read/,
  ],
  [
    'the verdict of another image',
    swap(
      readOf('async'),
      at(30, { ...read, from: 29, id: 'async', status: 'succeeded', ending: 7 }),
    ),
    /async ended as 7, expected 8/,
  ],
  [
    'a check that fails by our fault',
    swap(
      readOf('async'),
      at(30, { ...read, from: 29, id: 'async', status: 'failed', ending: 'internal_error' }),
    ),
    /async ended as internal_error/,
  ],
  [
    'a check that is canceled although nobody asked',
    swap(
      readOf('async'),
      at(30, { ...read, from: 29, id: 'async', status: 'canceled', ending: 'canceled' }),
    ),
    /async ended as canceled, expected 8/,
  ],
  [
    'a webhook with another ending',
    swap(noticeOf('canceled'), at(12, { kind: 'notified', id: 'canceled', ending: 7 })),
    /canceled ended as canceled and as 7|canceled ended as 7 and as canceled/,
  ],
  [
    'a check that ends twice',
    [...good, at(40, { ...read, from: 39, id: 'waited', status: 'failed', ending: 7 })],
    /waited was succeeded and then failed/,
  ],
  [
    'a check that runs again after its end',
    [
      ...swap(readOf('waited')),
      at(15, { ...read, from: 14, id: 'waited', status: 'succeeded', ending: 7 }),
      at(17, { ...read, from: 16, id: 'waited', status: 'queued' }),
      at(19, { ...read, from: 18, id: 'waited', status: 'succeeded', ending: 7 }),
    ],
    /waited was succeeded and then queued/,
  ],
  [
    'a check that is lost',
    swap(readOf('async'), at(30, { ...read, from: 29, id: 'async', status: 'gone' })),
    /async is gone and was not deleted/,
  ],
  [
    'a canceled check with a verdict',
    [
      ...swap(readOf('canceled')).filter(
        (event) => !(event.kind === 'notified' && event.id === 'canceled'),
      ),
      at(30, { ...read, from: 29, id: 'canceled', status: 'succeeded', ending: 7 }),
      at(31, { kind: 'notified', id: 'canceled', ending: 7 }),
    ],
    /canceled was canceled and ended as succeeded/,
  ],
  [
    'a check of two images',
    swap(
      indexOf((event) => event.kind === 'sent' && event.call === 1),
      at(0, { ...sent, call: 1, image: 8, key: 'k' }),
    ),
    /waited answers for two images/,
  ],
  [
    'a check of two tenants',
    swap(
      indexOf((event) => event.kind === 'sent' && event.call === 1),
      at(0, { ...sent, call: 1, tenant: 'other', key: 'k' }),
    ),
    /waited belongs to two tenants/,
  ],
  [
    'a key with two checks',
    [
      ...swap(answerOf(1), at(9, { ...answered, call: 1, status: 200, id: 'twin', ending: 7 })),
      at(30, { kind: 'notified', id: 'twin', ending: 7 }),
      at(30, { ...read, from: 29, id: 'twin', status: 'succeeded', ending: 7 }),
    ],
    /key acme\/k belongs to waited, twin/,
  ],
  [
    'a deleted check that can be read',
    [
      ...swap(readOf('deleted')),
      at(30, { ...read, from: 29, id: 'deleted', status: 'succeeded', ending: 7 }),
      at(33, { ...read, from: 32, id: 'deleted', status: 'gone' }),
    ],
    /deleted was deleted and is still succeeded/,
  ],
  [
    'a deleted check that is announced',
    [...good, at(108, { kind: 'notified', id: 'deleted', ending: 7 })],
    /deleted was deleted and is still announced/,
  ],
  ['a webhook that never arrives', swap(noticeOf('waited')), /waited ended without a webhook/],
  [
    'a key that is left in Redis',
    [...good, at(30, { kind: 'left', what: 'images', count: 1 })],
    /1 images left/,
  ],
];

describe('the invariant checker', () => {
  it('accepts a good history', () => {
    expect(findViolations(good, promises)).toEqual([]);
  });

  it.each(bad)('finds %s, and nothing else', (_name, events, violation) => {
    const found = findViolations(events, promises);
    expect(found.length).toBeGreaterThan(0);
    for (const line of found) expect(line).toMatch(violation);
  });

  it('excuses a caller who is lost and a check that is forgotten only where that is allowed', () => {
    const lost = swap(answerOf(5), at(3, { kind: 'lost', call: 5 }));
    expect(findViolations(lost, { ...promises, mayLose: (time) => time === 3 })).toEqual([]);
    expect(findViolations(lost, { ...promises, mayLose: (time) => time > 3 })).toHaveLength(1);
    const gone = at(30, { ...read, from: 29, id: 'async', status: 'gone' });
    const forgotten = swap(readOf('async'), gone);
    expect(findViolations(forgotten, { ...promises, mayForget: (time) => time === 2 })).toEqual([]);
    expect(findViolations(forgotten, { ...promises, mayForget: (time) => time > 2 })).toHaveLength(
      1,
    );
  });
});
