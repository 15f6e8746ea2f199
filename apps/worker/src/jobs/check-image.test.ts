import { LivegateError } from '@livegate/core/domain';
import {
  createFakeCheckQueue,
  createFakeDemands,
  createFakeImageStore,
  exampleJob,
  exampleWorker,
  exampleQuality,
  noShadow,
} from '@livegate/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AssessOptions, ImageScheduler } from '../scheduling/schedule-images.js';
import type { EndingCheck } from './audit/audited-check.js';
import { createCheckImage } from './check-image.js';
import { CheckPostponed, LargeImagesBusy } from './requeue.js';

/** P(spoof) is an image's first byte in hundredths; 255 is refused, and from 200 on it is large. */
const scheduler: ImageScheduler = {
  modelSets: () => ({ current: exampleWorker }),
  executionProvider: 'cpu',
  layout: { engines: 1, intraOpThreads: 1, maxBatch: 1 },
  concurrency: 4,
  large: {
    megabytesOf: ([first = 0]) => (first >= 200 && first < 255 ? 100 : 0),
    maxMegabytes: 500,
  },
  async assess([first = 0]) {
    if (first === 255) throw new LivegateError('invalid_image');
    return {
      assessment: {
        kind: 'scored',
        spoofProbability: first / 100,
        logit: 0,
        views: [],
        rotation: 0,
        quality: exampleQuality,
      },
      modelSet: exampleWorker,
      timings: { decodeMs: 1, detectMs: 2, classifyMs: 3 },
    };
  },
  shadow: noShadow,
  use: async () => false,
  drain: () => undefined,
  longestRunMs: () => 0,
  close: async () => undefined,
};

const exampleTaken = {
  tenant: 'acme',
  work: 20,
  share: { flow: 'awaited:acme', weight: 1, ms: 20, rank: 7 },
  takenAt: 0,
};

function setUp(images: Record<string, number>) {
  const queue = createFakeCheckQueue();
  const imageStore = createFakeImageStore();
  const reads: string[][] = [];
  const assessed: number[] = [];
  const given: (AssessOptions | undefined)[] = [];
  const duringDecode: (() => Promise<unknown>)[] = [];
  const duringRun: (() => Promise<unknown>)[] = [];
  /** By the address of the gateway; the others are alive. */
  const abandoned: Record<string, 'away' | 'gone'> = {};
  const beforeRead: (() => Promise<unknown>)[] = [];
  const asked: string[] = [];
  const notified = new Set<string>();
  const demands = createFakeDemands({
    find: queue.find,
    stateOf: (waiter) => abandoned[waiter],
    hasEndpoints: async (tenant) => notified.has(tenant),
  });
  const record = vi.fn<(check: EndingCheck) => Promise<void>>(async () => undefined);
  const beforeResult = vi.fn<(hasEndpoints: boolean) => Promise<void>>(async () => undefined);
  const afterAlone = vi.fn<() => Promise<void>>(async () => undefined);
  const checkImage = createCheckImage({
    imageStore: {
      ...imageStore,
      async get(ids) {
        reads.push(ids);
        for (const happen of beforeRead) await happen();
        return imageStore.get(ids);
      },
    },
    cancellations: queue,
    demands: {
      find(checks) {
        for (const { id } of checks) asked.push(id);
        return demands.find(checks);
      },
    },
    scheduler: {
      ...scheduler,
      async assess(image, options) {
        for (const happen of duringDecode) await happen();
        await options?.beforeBatch?.();
        assessed.push(...image.subarray(0, 1));
        given.push(options);
        for (const happen of duringRun) await happen();
        return scheduler.assess(image);
      },
    },
    audit: { record },
  });
  const run = async (...ids: string[]) => runFor(undefined, ...ids);
  /** For callers who wait at this gateway. */
  const runFor = async (waiter: string | undefined, ...ids: string[]) => {
    for (const [id, byte] of Object.entries(images)) {
      await imageStore.put(id, Uint8Array.of(byte));
      await queue.add(id, exampleJob);
    }
    return Promise.all(
      ids.map((id) =>
        checkImage({ ...exampleTaken, id, waiter, afterAlone, beforeResult }).catch(
          (error: unknown) => error,
        ),
      ),
    );
  };
  return {
    run,
    runFor,
    abandoned,
    asked,
    notified,
    queue,
    imageStore,
    assessed,
    given,
    reads,
    duringDecode,
    duringRun,
    beforeRead,
    afterAlone,
    beforeResult,
    record,
  };
}

describe('check image', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => void vi.useRealTimers());

  it('gives each check the verdict of its own image', async () => {
    const results = await setUp({ a: 10, b: 50, c: 90 }).run('c', 'a', 'b');
    expect(results).toMatchObject([
      { verdict: { spoofProbability: 0.9, status: 'HIGH' } },
      { verdict: { spoofProbability: 0.1, status: 'LOW' } },
      { verdict: { spoofProbability: 0.5, status: 'MODERATE' } },
    ]);
  });

  it('tells the scheduler the id of each check, and its share of the queue', async () => {
    const { given, run } = setUp({ a: 10 });
    await run('a');
    expect(given).toMatchObject([{ checkId: 'a', share: exampleTaken.share }]);
  });

  it('lets large images take half of the jobs, and no photo wait for them', async () => {
    const results = await setUp({ a: 200, b: 201, c: 202, d: 10 }).run('a', 'b', 'c', 'd');
    const isBusy = results.map((result) => result instanceof LargeImagesBusy);
    expect(isBusy).toEqual([false, false, true, false]);
  });

  it('reports the models and the stage timings', async () => {
    const [result] = await setUp({ a: 10 }).run('a');
    expect(result).toMatchObject({
      model: 'fr-detect/0.0.1+01234567, fr-liveness/0.0.1+89abcdef',
      timings: { decodeMs: 1, detectMs: 2, classifyMs: 3, workerMs: expect.any(Number) },
    });
  });

  it('reads the images of checks that arrive together in one round trip', async () => {
    const { run, reads } = setUp({ a: 10, b: 20, c: 30 });
    await run('a', 'b', 'c');
    expect(reads).toEqual([['a', 'b', 'c']]);
  });

  it('gives no result until beforeResult has resolved', async () => {
    const { run, beforeResult } = setUp({ a: 10 });
    const order: string[] = [];
    let go = () => undefined as void;
    beforeResult.mockImplementation(() => {
      order.push('before');
      return new Promise((resolve) => (go = resolve));
    });
    const result = run('a').then(() => order.push('result'));
    await expect.poll(() => order).toEqual(['before']);
    await new Promise(setImmediate);
    order.push('waited');
    go();
    await result;
    expect(order).toEqual(['before', 'waited', 'result']);
  });

  it.each([
    [9, ['a', 'a']],
    [10, ['a', 'a', 'a']],
  ])(
    'after a decode of %i ms, asks again before the run only if that is 10 ms or more',
    async (ms, times) => {
      const { run, asked, duringDecode } = setUp({ a: 10 });
      duringDecode.push(async () => void vi.advanceTimersByTime(ms));
      await run('a');
      expect(asked).toEqual(times);
    },
  );

  it('says before the result whether its tenant has webhook endpoints by then', async () => {
    const { run, notified, duringRun, beforeResult } = setUp({ a: 10, b: 20 });
    await run('a');
    duringRun.push(async () => notified.add('acme'));
    await run('b');
    expect(beforeResult.mock.calls).toEqual([[false], [true]]);
  });

  it('gives a result to a check whose gateway is lost during its run', async () => {
    const { runFor, abandoned, duringRun } = setUp({ a: 10 });
    duringRun.push(async () => void (abandoned['lost'] = 'gone'));
    expect(await runFor('lost', 'a')).toMatchObject([{ verdict: {} }]);
  });

  it('reports the end of a run, whatever becomes of the check', async () => {
    const { run, afterAlone, beforeResult } = setUp({ a: 10, bad: 255 });
    beforeResult.mockRejectedValue(new Error('Redis refuses it'));
    await run('a', 'bad');
    expect(afterAlone).toHaveBeenCalledTimes(2);
  });

  it('fails only the checks whose image is missing or refused', async () => {
    const results = await setUp({ a: 10, bad: 255, b: 20 }).run('a', 'gone', 'bad', 'b');
    expect(results).toMatchObject([
      { verdict: { spoofProbability: 0.1 } },
      { code: 'image_expired' },
      { code: 'invalid_image' },
      { verdict: { spoofProbability: 0.2 } },
    ]);
  });

  it('never assesses the image of a canceled check', async () => {
    const { run, queue, assessed } = setUp({ a: 10, b: 20 });
    await queue.add('a', exampleJob);
    await queue.cancel('a');
    expect(await run('a', 'b')).toMatchObject([
      { code: 'canceled' },
      { verdict: { spoofProbability: 0.2 } },
    ]);
    expect(assessed).toEqual([20]);
  });

  it('never assesses an image that took 10 ms to read, of a check canceled meanwhile', async () => {
    const { run, queue, assessed, beforeRead } = setUp({ a: 10 });
    beforeRead.push(async () => {
      // Cancel only after the concurrent look-up of cancellations has ended.
      await new Promise(setImmediate);
      await queue.cancel('a');
      vi.advanceTimersByTime(10);
    });
    expect(await run('a')).toMatchObject([{ code: 'canceled' }]);
    expect(assessed).toEqual([]);
  });

  it('never assesses the image of a check that is canceled during a decode of 10 ms', async () => {
    const { run, queue, assessed, duringDecode } = setUp({ a: 10 });
    duringDecode.push(async () => {
      await queue.cancel('a');
      vi.advanceTimersByTime(10);
    });
    expect(await run('a')).toMatchObject([{ code: 'canceled' }]);
    expect(assessed).toEqual([]);
  });

  it('postpones a check whose only caller waits at a gateway that is away', async () => {
    const { run, runFor, abandoned, queue, assessed } = setUp({ a: 10, b: 20 });
    abandoned['lost'] = 'away';
    expect(await runFor('lost', 'a', 'b')).toEqual([
      expect.any(CheckPostponed),
      expect.any(CheckPostponed),
    ]);
    expect(await queue.read('a')).toMatchObject({ status: 'queued' });
    expect(assessed).toEqual([]);
    expect(await runFor('alive', 'a')).toMatchObject([{ verdict: {} }]);
    expect(await run('b')).toMatchObject([{ verdict: {} }]);
  });

  it('cancels a check whose only caller waited at a gateway that is gone', async () => {
    const { runFor, abandoned, queue, assessed, record } = setUp({ a: 10 });
    abandoned['lost'] = 'gone';
    expect(await runFor('lost', 'a')).toMatchObject([{ code: 'canceled' }]);
    expect(await queue.read('a')).toMatchObject({ status: 'canceled' });
    expect([assessed, record.mock.calls]).toEqual([[], []]);
  });

  it('never assesses the image of a check whose gateway is lost during a decode of 10 ms', async () => {
    const { runFor, abandoned, assessed, duringDecode } = setUp({ a: 10 });
    duringDecode.push(async () => {
      abandoned['lost'] = 'away';
      vi.advanceTimersByTime(10);
    });
    expect(await runFor('lost', 'a')).toEqual([expect.any(CheckPostponed)]);
    expect(assessed).toEqual([]);
  });

  it('reports a check as canceled when a cancellation deletes its image during the claim', async () => {
    const { run, queue, imageStore, beforeRead } = setUp({ a: 10 });
    beforeRead.push(async () => {
      // Cancel only after the concurrent look-up of cancellations has ended.
      await new Promise(setImmediate);
      await queue.cancel('a');
      await imageStore.delete('a');
    });
    expect(await run('a')).toMatchObject([{ code: 'canceled' }]);
  });

  it('gives no result to a check that was canceled while it ran', async () => {
    const { run, queue, duringRun } = setUp({ a: 10, b: 20 });
    duringRun.push(() => queue.cancel('a'));
    expect(await run('a', 'b')).toMatchObject([{ code: 'canceled' }, { verdict: {} }]);
  });

  it('gives no result until its audit record is written, and none without the record', async () => {
    const { run, record, queue } = setUp({ a: 10, b: 20 });
    await queue.add('b', exampleJob);
    record.mockImplementation(async ({ id }) => {
      if (id === 'b') throw new Error('ENOSPC');
    });
    expect(await run('a', 'b')).toMatchObject([{ verdict: {} }, { message: 'ENOSPC' }]);
    expect(record.mock.calls[0]).toMatchObject([
      {
        id: 'a',
        tenant: 'acme',
        image: Uint8Array.of(10),
        end: { assessment: { kind: 'scored' } },
      },
    ]);
  });

  it('records refusals, with the image if there is one', async () => {
    const { run, record } = setUp({ bad: 255 });
    await run('bad', 'gone');
    const records = record.mock.calls.map(([{ id, image, end }]) => ({ id, image, end }));
    expect(records).toMatchObject([
      { id: 'gone', image: undefined, end: { code: 'image_expired' } },
      { id: 'bad', image: Uint8Array.of(255), end: { code: 'invalid_image' } },
    ]);
  });

  it('records nothing of a check that was canceled before or while it ran', async () => {
    const { run, queue, duringRun, record } = setUp({ a: 10, b: 20 });
    await queue.add('b', exampleJob);
    await queue.cancel('b');
    duringRun.push(() => queue.cancel('a'));
    await run('a', 'b');
    expect(record).not.toHaveBeenCalled();
  });
});
