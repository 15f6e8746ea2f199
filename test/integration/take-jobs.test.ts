import {
  createRedisCheckQueue,
  JOB_VERSION,
  LivegateError,
  tooCostly,
  type CheckOutcome,
} from '@livegate/core';
import { exampleJob, exampleResult } from '@livegate/core/testing';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import type { TakenCheck } from '../../apps/worker/src/check-image.js';
import { takeJobs } from '../../apps/worker/src/take-jobs.js';
import { connectWorker, openSandbox, silentLog } from './redis.js';

/** A queue with one job in it, and a worker that is started on demand. */
async function setUp() {
  const sandbox = await openSandbox();
  onTestFinished(sandbox.close);
  const queue = createRedisCheckQueue({ ...sandbox, resultLifeSeconds: 60 });
  onTestFinished(() => queue.close());
  await queue.add('a', exampleJob);

  const taken: TakenCheck[] = [];
  const announced: { id: string; outcome: CheckOutcome | undefined }[] = [];
  function start(failure?: Error) {
    const redis = connectWorker();
    const lives = { imageLifeSeconds: 60, resultLifeSeconds: 60 };
    const options = { ...lives, concurrency: 1, jobVersions: [JOB_VERSION], log: silentLog };
    const jobs = takeJobs(
      { ...options, redis, keys: sandbox.keys },
      {
        async checkImage(check) {
          taken.push(check);
          await check.beforeRun?.();
          if (failure) throw failure;
          await check.beforeResult();
          return exampleResult;
        },
        announce: async ({ id }) => void announced.push({ id, outcome: await ended() }),
        finish: async () => 'kept',
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
  return { sandbox, taken, announced, start, change, ended };
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
  start(tooCostly('10000 ms of processor time'));
  await expect.poll(ended).toEqual({
    error: 'invalid_image',
    message:
      'the image takes longer to decode than a photo does, send fewer pixels or a baseline JPEG',
  });
});

test('what an unknown error says stays in the log', async () => {
  const { start, ended } = await setUp();
  // Its beginning is one of our codes.
  start(new Error('timeout: 3% complete'));
  await expect.poll(ended, { timeout: 5000 }).toEqual({ error: 'internal_error' });
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
