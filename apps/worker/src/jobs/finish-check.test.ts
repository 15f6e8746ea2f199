import {
  createFakeCheckQueue,
  createFakeImageStore,
  createFakeReplies,
  exampleJob,
  exampleResult,
} from '@livegate/testing';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { finishCheck } from './finish-check.js';

function setUp() {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line) => lines.push(JSON.parse(line)) });
  const queue = createFakeCheckQueue();
  const replies = createFakeReplies();
  const inbox = replies.createInbox(exampleJob.replyTo ?? '');
  const announced: unknown[] = [];
  const deps = {
    log,
    replies: replies.createOutbox({ find: queue.find, hasEndpoints: async () => true }),
    imageStore: createFakeImageStore(),
    announce: async (...check: unknown[]) => void announced.push(check),
  };
  return { lines, inbox, queue, announced, deps };
}

const ended = { id: 'a', job: exampleJob, outcome: { result: exampleResult }, attempts: 1 };

describe('finishCheck', () => {
  it('replies to the gateway that submitted the check', async () => {
    const { inbox, deps } = setUp();
    const waiter = inbox.expect('a');
    await finishCheck(ended, deps);
    expect(await waiter.within(1000)).toEqual({ result: exampleResult });
  });

  it('deletes the image', async () => {
    const { deps } = setUp();
    await deps.imageStore.put('a', Uint8Array.of(1));
    await finishCheck(ended, deps);
    expect(await deps.imageStore.get(['a'])).toEqual([undefined]);
  });

  it('logs one line with id, tenant and timings, but no score', async () => {
    const { lines, deps } = setUp();
    await finishCheck(ended, deps);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      requestId: 'a',
      tenant: 'acme',
      outcome: 'verdict',
      attempts: 1,
      ...exampleResult.timings,
    });
    expect(JSON.stringify(lines)).not.toContain('0.02611');
  });

  it('still deletes the image when the reply cannot be sent', async () => {
    const { lines, deps } = setUp();
    await deps.imageStore.put('a', Uint8Array.of(1));
    const replies = { send: async () => Promise.reject(new Error('away')) };
    await finishCheck({ ...ended, outcome: { error: 'invalid_image' } }, { ...deps, replies });
    expect(await deps.imageStore.get(['a'])).toEqual([undefined]);
    expect(lines).toMatchObject([
      { msg: 'post-check cleanup partly failed', step: 'reply' },
      { msg: 'check failed' },
    ]);
  });

  it('announces the check, with whether its tenant has webhook endpoints by then', async () => {
    const { announced, deps } = setUp();
    expect(await finishCheck(ended, deps)).toBe('kept');
    expect(announced).toEqual([[{ id: 'a', ...exampleJob }, true]]);
  });

  it('replies "canceled" to a check that was canceled after its result was decided', async () => {
    const { inbox, queue, deps } = setUp();
    await queue.add('a', exampleJob);
    await queue.cancel('a');
    const waiter = inbox.expect('a');
    await finishCheck(ended, deps);
    expect(await waiter.within(1000)).toEqual({ error: 'canceled' });
  });

  it('announces a check whose reply cannot be sent, since nothing says that it was deleted', async () => {
    const { announced, deps } = setUp();
    const replies = { send: async () => Promise.reject(new Error('away')) };
    expect(await finishCheck(ended, { ...deps, replies })).toBe('kept');
    expect(announced).toHaveLength(1);
  });

  it('reports a deleted check as deleted, and does not announce it', async () => {
    const { queue, announced, deps } = setUp();
    await queue.add('a', exampleJob);
    queue.begin('a');
    await queue.delete('a');
    expect(await finishCheck(ended, deps)).toBe('deleted');
    expect(announced).toEqual([]);
  });
});
