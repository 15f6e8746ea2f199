import { type CheckOutcome, JOB_VERSION, LivegateError, tooCostly } from '@livegate/core/domain';
import { createRedisCheckQueue } from '@livegate/core/redis';
import { exampleJob, exampleResult } from '@livegate/testing';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import type { TakenCheck } from '../../apps/worker/src/jobs/check-image.js';
import { LargeImagesBusy } from '../../apps/worker/src/jobs/requeue.js';
import { takeJobs } from '../../apps/worker/src/jobs/take-jobs.js';
import { connectWorker, openSandbox, silentLog } from '@livegate/testing/redis/sandbox';

const pollOptions = { timeout: 10_000, interval: 20 };

/** A queue with one job, and a worker that `start` starts. */
async function setUp() {
  const sandbox = await openSandbox();
  onTestFinished(sandbox.close);
  const queue = createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });
  onTestFinished(() => queue.close());
  await queue.add('a', exampleJob);

  const taken: TakenCheck[] = [];
  const finished: number[] = [];
  /** What the job says about itself during each run. */
  const notes: (string | null)[] = [];
  const note = () => sandbox.redis.hget(sandbox.keys.job('a'), 'progress');
  const announced: { id: string; outcome: CheckOutcome | undefined }[] = [];
  /** The step at which Redis refuses a command, and how often. */
  const outage: { at?: 'claim' | 'announce'; times: number } = { times: 0 };
  const failInOutage = (at: typeof outage.at) => {
    if (outage.at !== at || outage.times === 0) return;
    outage.times -= 1;
    throw new LivegateError('overloaded', { detail: 'OOM command not allowed' });
  };
  /** Attempt n fails with the n-th failure; later attempts succeed. */
  function start(...failures: Error[]) {
    const redis = connectWorker();
    const lives = { imageTtlSeconds: 60, resultTtlSeconds: 60 };
    const options = { ...lives, concurrency: 1, jobVersions: [JOB_VERSION], log: silentLog };
    const jobs = takeJobs(
      { ...options, redis, keys: sandbox.keys },
      {
        async checkImage(check) {
          taken.push(check);
          failInOutage('claim');
          await check.beforeAlone?.();
          notes.push(await note());
          await check.afterAlone?.();
          const failure = failures[taken.length - 1];
          if (failure) throw failure;
          await check.beforeResult(false);
          return exampleResult;
        },
        async announce({ id }) {
          failInOutage('announce');
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
  return { sandbox, queue, taken, notes, note, announced, finished, outage, start, change, ended };
}

test('a check is announced before it succeeds', async () => {
  const { announced, start, ended } = await setUp();
  start();
  await expect.poll(ended).toEqual({ result: exampleResult });
  expect(announced).toEqual([{ id: 'a', outcome: undefined }]);
});

test('a check is announced before it is refused', async () => {
  const { announced, start, ended } = await setUp();
  start(new LivegateError('invalid_image'));
  await expect.poll(ended).toEqual({ error: 'invalid_image' });
  expect(announced).toEqual([{ id: 'a', outcome: undefined }]);
});

test('a refusal keeps its own message', async () => {
  const { start, ended } = await setUp();
  start(tooCostly('10000 ms of CPU time'));
  await expect.poll(ended).toEqual({
    error: 'invalid_image',
    message:
      'the image takes longer to decode than a photo does, send fewer pixels or a baseline JPEG',
  });
});

test('an unknown error becomes internal_error without its message', async () => {
  const { start, ended } = await setUp();
  // A message that begins like one of our error codes.
  const unknown = new Error('timeout: 3% complete');
  start(unknown, unknown, unknown);
  await expect.poll(ended).toEqual({ error: 'internal_error' });
});

test('a check that succeeds after an internal error has succeeded', async () => {
  const { sandbox, taken, start, ended } = await setUp();
  start(new Error('a fault of ours'));
  await expect.poll(ended).toEqual({ result: exampleResult });
  expect(taken).toHaveLength(2);
  // The trace of the first attempt, which must not become the outcome.
  const trace = await sandbox.redis.hget(sandbox.keys.job('a'), 'failedReason');
  expect(trace).toBe('a fault of ours');
});

test('a large image that is requeued for others uses up no attempt of its check', async () => {
  const { finished, start, ended } = await setUp();
  const busy = () => new LargeImagesBusy(() => undefined);
  start(busy(), busy());
  await expect.poll(ended, pollOptions).toEqual({ result: exampleResult });
  await expect.poll(() => finished, pollOptions).toEqual([1]);
});

test('a check that fails in all three attempts ends with internal_error', async () => {
  const { taken, start, ended } = await setUp();
  const fault = new Error('a fault of ours');
  start(fault, fault, fault);
  await expect.poll(ended).toEqual({ error: 'internal_error' });
  expect(taken).toHaveLength(3);
});

describe('a failure of Redis', () => {
  /** More often than a check has attempts. */
  const times = 5;

  async function setUpOutage(at: 'claim' | 'announce') {
    const product = await setUp();
    Object.assign(product.outage, { at, times });
    /** Promotes the delayed check each time, until the outage is over. */
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
    'uses up no attempt of a check, however often it occurs: %s',
    async (at) => {
      const { start, prioritize, ended, finished, announced } = await setUpOutage(at);
      start();
      await prioritize();
      await expect.poll(ended, pollOptions).toEqual({ result: exampleResult });
      await expect.poll(() => finished, pollOptions).toEqual([1]);
      expect(announced).toEqual([{ id: 'a', outcome: undefined }]);
    },
  );

  it('uses up no attempt of a refused check that cannot be announced', async () => {
    const { start, prioritize, ended, finished, announced } = await setUpOutage('announce');
    // At each attempt.
    start(...Array.from({ length: times + 1 }, () => new LivegateError('invalid_image')));
    await prioritize();
    await expect.poll(ended, pollOptions).toEqual({ error: 'invalid_image' });
    await expect.poll(() => finished, pollOptions).toEqual([1]);
    expect(announced).toHaveLength(1);
  });

  it('that lasts longer than the image ends the check, even if its end cannot be announced', async () => {
    const { outage, change, start, ended } = await setUp();
    await change({ timestamp: Date.now() - 61_000 });
    Object.assign(outage, { at: 'announce', times: Infinity });
    start();
    await expect.poll(ended, pollOptions).toEqual({ error: 'image_expired' });
  });
});

describe('a check of a dead worker', () => {
  it('does not run alone if no worker died with it', async () => {
    const { taken, start, ended } = await setUp();
    start();
    await expect.poll(ended).toEqual({ result: exampleResult });
    expect(taken[0]?.beforeAlone).toBeUndefined();
  });

  it('runs alone, and its job says so during the run, after its worker died', async () => {
    const { taken, notes, start, change, ended } = await setUp();
    await change({ stc: 1 });
    start();
    await expect.poll(ended).toEqual({ result: exampleResult });
    expect(taken[0]?.beforeAlone).toBeDefined();
    expect(notes).toEqual(['"running alone"']);
  });

  it('is not suspected any more once it has run alone, whether or not its end is stored', async () => {
    const { note, start, change, ended } = await setUp();
    await change({ stc: 1 });
    start();
    await expect.poll(ended).toEqual({ result: exampleResult });
    expect(await note()).toBe('0');
  });

  it('runs alone once more if Redis failed while it ran alone', async () => {
    const { taken, outage, change, start, ended } = await setUp();
    await change({ stc: 1 });
    Object.assign(outage, { at: 'announce', times: 1 });
    start();
    await expect.poll(ended, pollOptions).toEqual({ result: exampleResult });
    expect(taken.map(({ beforeAlone }) => beforeAlone !== undefined)).toEqual([true, true]);
  });

  it('fails without another run if its worker died while it ran alone', async () => {
    const { taken, start, change, ended } = await setUp();
    await change({ stc: 2, progress: '"running alone"' });
    start();
    await expect.poll(ended).toEqual({ error: 'internal_error' });
    expect(taken).toEqual([]);
  });
});
