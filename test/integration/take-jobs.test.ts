import { type CheckOutcome, JOB_VERSION, LivegateError, tooCostly } from '@livegate/core/domain';
import { createRedisCheckQueue } from '@livegate/core/redis';
import { exampleJob, exampleResult } from '@livegate/testing';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import type { TakenCheck } from '../../apps/worker/src/jobs/check-image.js';
import { takeJobs } from '../../apps/worker/src/jobs/take-jobs.js';
import { connectWorker, openSandbox, silentLog } from '../harness/redis/sandbox.js';

const pollOptions = { timeout: 10_000, interval: 20 };

/** A queue with one job in it, and a worker that is started on demand. */
async function setUp() {
  const sandbox = await openSandbox();
  onTestFinished(sandbox.close);
  const queue = createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });
  onTestFinished(() => queue.close());
  await queue.add('a', exampleJob);

  const taken: TakenCheck[] = [];
  const finished: number[] = [];
  const announced: { id: string; outcome: CheckOutcome | undefined }[] = [];
  /** `outage` is what Redis refuses, and how often. */
  const outage: { at?: 'claim' | 'announce'; times: number } = { times: 0 };
  const meetOutage = (at: typeof outage.at) => {
    if (outage.at !== at || outage.times === 0) return;
    outage.times -= 1;
    throw new LivegateError('overloaded', { detail: 'OOM command not allowed' });
  };
  /** Each attempt fails with its own of the failures, and succeeds where there is none. */
  function start(...failures: Error[]) {
    const redis = connectWorker();
    const lives = { imageTtlSeconds: 60, resultTtlSeconds: 60 };
    const options = { ...lives, concurrency: 1, jobVersions: [JOB_VERSION], log: silentLog };
    const jobs = takeJobs(
      { ...options, redis, keys: sandbox.keys },
      {
        async checkImage(check) {
          taken.push(check);
          meetOutage('claim');
          await check.beforeRun?.();
          const failure = failures[taken.length - 1];
          if (failure) throw failure;
          await check.beforeResult();
          return exampleResult;
        },
        async announce({ id }) {
          meetOutage('announce');
          announced.push({ id, outcome: await ended() });
        },
        async finish({ attempts }) {
          finished.push(attempts);
          return 'kept';
        },
        forget: async () => undefined,
      },
    );
    onTestFinished(async () => {
      await jobs.close();
      redis.disconnect();
    });
  }
  const change = (fields: Record<string, string | number>) =>
    sandbox.redis.hset(sandbox.keys.job('a'), fields);
  const ended = async () => (await queue.read('a'))?.outcome;
  return { sandbox, queue, taken, announced, finished, outage, start, change, ended };
}

test('a check is announced before it ends', async () => {
  const { announced, start, ended } = await setUp();
  start();
  await expect.poll(ended).toEqual({ result: exampleResult });
  expect(announced).toEqual([{ id: 'a', outcome: undefined }]);
});

test('a check is announced before it ends as refused', async () => {
  const { announced, start, ended } = await setUp();
  start(new LivegateError('invalid_image'));
  await expect.poll(ended).toEqual({ error: 'invalid_image' });
  expect(announced).toEqual([{ id: 'a', outcome: undefined }]);
});

test('a refusal in words of its own keeps them', async () => {
  const { start, ended } = await setUp();
  start(tooCostly('10000 ms of CPU time'));
  await expect.poll(ended).toEqual({
    error: 'invalid_image',
    message:
      'the image takes longer to decode than a photo does, send fewer pixels or a baseline JPEG',
  });
});

test('what an unknown error says stays in the log', async () => {
  const { start, ended } = await setUp();
  // Its beginning is one of our codes.
  const unknown = new Error('timeout: 3% complete');
  start(unknown, unknown, unknown);
  await expect.poll(ended, { timeout: 5000 }).toEqual({ error: 'internal_error' });
});

test('a check that fails once by a fault of ours and then succeeds has succeeded', async () => {
  const { sandbox, taken, start, ended } = await setUp();
  start(new Error('a fault of ours'));
  await expect.poll(ended, { timeout: 5000 }).toEqual({ result: exampleResult });
  expect(taken).toHaveLength(2);
  // What must not be taken for the outcome.
  const trace = await sandbox.redis.hget(sandbox.keys.job('a'), 'failedReason');
  expect(trace).toBe('a fault of ours');
});

test('a check that fails at each attempt has failed by a fault of ours', async () => {
  const { taken, start, ended } = await setUp();
  const fault = new Error('a fault of ours');
  start(fault, fault, fault);
  await expect.poll(ended, { timeout: 5000 }).toEqual({ error: 'internal_error' });
  expect(taken).toHaveLength(3);
});

describe('a failure of Redis', () => {
  /** More often than a check has attempts. */
  const times = 5;

  async function setUpOutage(at: 'claim' | 'announce') {
    const product = await setUp();
    Object.assign(product.outage, { at, times });
    /** Brings the check back each time, until Redis is well again. */
    async function prioritize() {
      while (product.outage.times > 0) {
        const job = await product.queue.bullQueue.getJob('a');
        if (await job?.isDelayed()) await job?.promote();
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    return { ...product, prioritize };
  }

  it.each(['claim', 'announce'] as const)(
    'uses up no attempt of a check, however often it comes: %s',
    async (at) => {
      const { start, prioritize, ended, finished, announced } = await setUpOutage(at);
      start();
      await prioritize();
      await expect.poll(ended, pollOptions).toEqual({ result: exampleResult });
      await expect.poll(() => finished, pollOptions).toEqual([1]);
      expect(announced).toEqual([{ id: 'a', outcome: undefined }]);
    },
  );

  it('uses up no attempt of a check that is refused, and cannot be announced', async () => {
    const { start, prioritize, ended, finished, announced } = await setUpOutage('announce');
    // At each attempt.
    start(...Array.from({ length: times + 1 }, () => new LivegateError('invalid_image')));
    await prioritize();
    await expect.poll(ended, pollOptions).toEqual({ error: 'invalid_image' });
    await expect.poll(() => finished, pollOptions).toEqual([1]);
    expect(announced).toHaveLength(1);
  });

  it('that outlasts the image ends the check, also if that cannot be announced', async () => {
    const { outage, change, start, ended } = await setUp();
    await change({ timestamp: Date.now() - 61_000 });
    Object.assign(outage, { at: 'announce', times: Infinity });
    start();
    await expect.poll(ended, pollOptions).toEqual({ error: 'image_expired' });
  });
});

describe('a check that a dead worker held', () => {
  it('is no suspect if it never was', async () => {
    const { taken, start, ended } = await setUp();
    start();
    await expect.poll(ended).toEqual({ result: exampleResult });
    expect(taken[0]?.beforeRun).toBeUndefined();
  });

  it('runs alone, with a note of that, after its worker died', async () => {
    const { sandbox, taken, start, change, ended } = await setUp();
    await change({ stc: 1 });
    start();
    await expect.poll(ended).toEqual({ result: exampleResult });
    expect(taken[0]?.beforeRun).toBeDefined();
    const note = await sandbox.redis.hget(sandbox.keys.job('a'), 'progress');
    expect(note).toBe('"running alone"');
  });

  it('is not run again if a worker died of it while it ran alone', async () => {
    const { taken, start, change, ended } = await setUp();
    await change({ stc: 2, progress: '"running alone"' });
    start();
    await expect.poll(ended).toEqual({ error: 'internal_error' });
    expect(taken).toEqual([]);
  });
});
