import { JOB_VERSION } from '@livegate/core/domain';
import type { AnnouncedCheck } from '@livegate/core/ports';
import { createRedisCheckQueue } from '@livegate/core/redis';
import { exampleJob, exampleResult } from '@livegate/testing';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { EndedCheck } from '../../apps/worker/src/jobs/finish-check.js';
import { takeJobs } from '../../apps/worker/src/jobs/take-jobs.js';
import { connectWorker, openSandbox } from '@livegate/testing/redis/sandbox';

const former = [JOB_VERSION];
const next = [JOB_VERSION, JOB_VERSION + 1];
const newerJob = { ...exampleJob, version: JOB_VERSION + 1 };
const pollOptions = { timeout: 10_000, interval: 20 };

/** One queue, and any number of workers that read the given job versions. */
async function setUp() {
  const sandbox = await openSandbox();
  onTestFinished(sandbox.close);
  const queue = createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });
  onTestFinished(() => queue.close());

  /** Checks do not end before `isFree` resolves. */
  function startWorker(jobVersions: number[], isFree = Promise.resolve()) {
    const seen = {
      checked: [] as string[],
      announced: [] as AnnouncedCheck[],
      ended: [] as EndedCheck[],
      log: [] as string[],
    };
    const redis = connectWorker();
    const lives = { imageTtlSeconds: 60, resultTtlSeconds: 60 };
    const log = pino({}, { write: (line) => seen.log.push(line) });
    const jobs = takeJobs(
      { ...lives, redis, keys: sandbox.keys, concurrency: 1, jobVersions, log },
      {
        async checkImage({ id }) {
          seen.checked.push(id);
          await isFree;
          return exampleResult;
        },
        announce: async (check) => void seen.announced.push(check),
        async finish(ended) {
          seen.ended.push(ended);
          return 'kept';
        },
        forget: async () => undefined,
      },
    );
    const close = async () => {
      await jobs.close();
      redis.disconnect();
    };
    onTestFinished(close);
    return { ...seen, close };
  }

  const outcomeOf = async (id: string) => (await queue.read(id))?.outcome;
  const readJob = (id: string) => sandbox.redis.hgetall(sandbox.keys.job(id));
  return { sandbox, queue, startWorker, outcomeOf, readJob };
}

describe('a worker of the previous version', () => {
  it('requeues a newer check without using up an attempt, and a newer worker takes it', async () => {
    const { queue, startWorker, outcomeOf } = await setUp();
    await queue.add('a', newerJob);
    let free = () => {};
    const old = startWorker(former, new Promise<void>((resolve) => (free = resolve)));
    onTestFinished(free);
    await vi.waitUntil(() => old.log.length > 0, pollOptions);
    // Keep the old worker busy: otherwise it could take the newer check again and again.
    await queue.add('b', exampleJob);
    await vi.waitUntil(() => old.checked.includes('b'), pollOptions);
    const updated = startWorker(next);
    await expect.poll(() => outcomeOf('a'), pollOptions).toEqual({ result: exampleResult });
    await expect.poll(() => updated.ended, pollOptions).toMatchObject([{ id: 'a', attempts: 1 }]);
    expect(updated.checked).toEqual(['a']);
    expect(old).toMatchObject({ checked: ['b'], announced: [], ended: [] });
  });

  it('leaves a newer check in the queue, however often it takes it, and logs that once', async () => {
    const { queue, startWorker, outcomeOf, readJob } = await setUp();
    await queue.add('a', newerJob);
    const old = startWorker(former);
    // More often than a check has attempts.
    await vi.waitUntil(async () => Number((await readJob('a'))['ats']) > 3, pollOptions);
    await expect.poll(() => queue.read('a'), pollOptions).toMatchObject({ status: 'queued' });
    const lines = old.log.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toMatchObject([
      { requestId: 'a', jobVersion: JOB_VERSION + 1, jobVersions: former },
    ]);
    await old.close();
    startWorker(next);
    await expect.poll(() => outcomeOf('a'), pollOptions).toEqual({ result: exampleResult });
  });

  it('checks jobs of its own version meanwhile', async () => {
    const { queue, startWorker, outcomeOf } = await setUp();
    await queue.add('a', newerJob);
    await queue.add('b', exampleJob);
    const old = startWorker(former);
    await expect.poll(() => outcomeOf('b'), pollOptions).toEqual({ result: exampleResult });
    expect(old.checked).toEqual(['b']);
  });

  it('ends a newer check whose image has expired', async () => {
    const { sandbox, queue, startWorker, outcomeOf } = await setUp();
    await queue.add('a', newerJob);
    await sandbox.redis.hset(sandbox.keys.job('a'), { timestamp: Date.now() - 61_000 });
    const old = startWorker(former);
    await expect.poll(() => outcomeOf('a'), pollOptions).toEqual({ error: 'image_expired' });
    await expect.poll(() => old.ended, pollOptions).toMatchObject([{ id: 'a' }]);
    expect(old.announced).toMatchObject([{ id: 'a', tenant: exampleJob.tenant }]);
  });
});

it('a worker of the next version reads the checks of the previous one', async () => {
  const { queue, startWorker, outcomeOf } = await setUp();
  await queue.add('a', exampleJob);
  startWorker(next);
  await expect.poll(() => outcomeOf('a'), pollOptions).toEqual({ result: exampleResult });
});
