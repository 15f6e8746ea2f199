import {
  createFakeCheckQueue,
  createFakeReplies,
  exampleJob,
  exampleResult,
} from '@livegate/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { awaitReply } from './await-check.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

async function wait(waitMs: number) {
  const outage = { away: false };
  const queue = createFakeCheckQueue(outage);
  await queue.add('a', exampleJob);
  const replies = createFakeReplies();
  const reply = replies.createInbox('gateway').expect('a');
  const caller = new AbortController();
  let outcome: unknown = 'waiting';
  void awaitReply({ id: 'a', reply, queue }, { waitMs, closed: caller.signal }).then(
    (ended) => (outcome = ended),
  );
  return { outage, queue, outbox: replies.outbox, outcome: () => outcome, caller };
}

describe('awaitReply', () => {
  it('resolves with the reply', async () => {
    const { outbox, outcome } = await wait(25_000);
    await outbox.send({ id: 'a', ...exampleJob, replyTo: 'gateway' }, { result: exampleResult });
    await vi.advanceTimersByTimeAsync(0);
    expect(outcome()).toEqual({ result: exampleResult });
  });

  it('resolves within 3 s with the outcome in the queue when the reply was lost', async () => {
    const { queue, outcome } = await wait(25_000);
    queue.finish('a', { result: exampleResult });
    await vi.advanceTimersByTimeAsync(3000);
    expect(outcome()).toEqual({ result: exampleResult });
  });

  it('resolves with a reply that arrives after several reads of the queue', async () => {
    const { outbox, outcome } = await wait(25_000);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(outcome()).toBe('waiting');
    await outbox.send({ id: 'a', ...exampleJob, replyTo: 'gateway' }, { result: exampleResult });
    await vi.advanceTimersByTimeAsync(0);
    expect(outcome()).toEqual({ result: exampleResult });
  });

  it('resolves as canceled within 3 s when the check is deleted', async () => {
    const { queue, outcome } = await wait(25_000);
    await queue.delete('a');
    await vi.advanceTimersByTimeAsync(3000);
    expect(outcome()).toEqual({ error: 'canceled' });
  });

  it('keeps waiting while Redis cannot be reached', async () => {
    const { outage, queue, outcome } = await wait(25_000);
    outage.away = true;
    await vi.advanceTimersByTimeAsync(6000);
    expect(outcome()).toBe('waiting');
    outage.away = false;
    queue.finish('a', { result: exampleResult });
    await vi.advanceTimersByTimeAsync(3000);
    expect(outcome()).toEqual({ result: exampleResult });
  });

  it('resolves with undefined when the wait runs out', async () => {
    const { outcome } = await wait(5000);
    await vi.advanceTimersByTimeAsync(5000);
    expect(outcome()).toBeUndefined();
  });

  it('resolves with undefined at once when the caller hangs up before or during the wait', async () => {
    const { queue, outcome, caller } = await wait(25_000);
    const reads = vi.spyOn(queue, 'read');
    await vi.advanceTimersByTimeAsync(0);
    expect(outcome()).toBe('waiting');
    caller.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(outcome()).toBeUndefined();
    expect(reads.mock.calls.length).toBeLessThan(2);
    const reply = createFakeReplies().createInbox('gateway').expect('a');
    const gone = { waitMs: 25_000, closed: caller.signal };
    expect(await awaitReply({ id: 'a', reply, queue }, gone)).toBeUndefined();
  });
});
