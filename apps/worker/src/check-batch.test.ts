import { LivegateError } from '@livegate/core';
import {
  createFakeCheckQueue,
  createFakeImageStore,
  exampleJob,
  exampleWorker,
} from '@livegate/core/testing';
import { describe, expect, it } from 'vitest';
import { createCheckBatch } from './check-batch.js';
import type { Pipeline } from './pipeline.js';

/** Scores an image by its first byte, in hundredths; 255 is no image. */
const pipeline: Pipeline = {
  models: exampleWorker.models,
  executionProvider: 'cpu',
  assess: async (images) =>
    images.map(([first = 0]) =>
      first === 255
        ? new LivegateError('invalid_image')
        : {
            assessment: { kind: 'scored', spoofProbability: first / 100 },
            timings: { decodeMs: 1, detectMs: 2, classifyMs: 3 },
          },
    ),
  close: async () => undefined,
};

function setUp(images: Record<string, number>) {
  const queue = createFakeCheckQueue();
  const imageStore = createFakeImageStore();
  const assessed: number[] = [];
  const checkBatch = createCheckBatch({
    imageStore,
    cancellations: queue,
    pipeline: {
      ...pipeline,
      async assess(given) {
        assessed.push(...given.map(([first = 0]) => first));
        return pipeline.assess(given);
      },
    },
    cutPoints: { moderate: 0.4, high: 0.7 },
  });
  const run = async (...ids: string[]) => {
    for (const [id, byte] of Object.entries(images)) {
      await imageStore.put(id, Uint8Array.of(byte));
      await queue.add(id, exampleJob);
    }
    return checkBatch(ids.map((id) => ({ id, takenAt: 0 })));
  };
  return { run, queue, imageStore, assessed };
}

describe('check batch', () => {
  it('gives each check the verdict of its own image', async () => {
    const results = await setUp({ a: 10, b: 50, c: 90 }).run('c', 'a', 'b');
    expect(results).toMatchObject([
      { verdict: { result: { spoof_percentage: 0.9, status: 'HIGH' } } },
      { verdict: { result: { spoof_percentage: 0.1, status: 'LOW' } } },
      { verdict: { result: { spoof_percentage: 0.5, status: 'MODERATE' } } },
    ]);
  });

  it('tells which models answered and how long it took', async () => {
    const [result] = await setUp({ a: 10 }).run('a');
    expect(result).toMatchObject({
      model: 'fr-detect/0.0.1+01234567, fr-liveness/0.0.1+89abcdef',
      timings: { decodeMs: 1, detectMs: 2, classifyMs: 3, workerMs: expect.any(Number) },
    });
  });

  it('lets a missing and a bad image fail alone', async () => {
    const results = await setUp({ a: 10, bad: 255, b: 20 }).run('a', 'gone', 'bad', 'b');
    expect(results).toMatchObject([
      { verdict: { result: { spoof_percentage: 0.1 } } },
      { code: 'image_expired' },
      { code: 'invalid_image' },
      { verdict: { result: { spoof_percentage: 0.2 } } },
    ]);
  });

  it('never runs a check that was cancelled before', async () => {
    const { run, queue, assessed } = setUp({ a: 10, b: 20 });
    await queue.add('a', exampleJob);
    await queue.cancel('a');
    expect(await run('a', 'b')).toMatchObject([
      { code: 'canceled' },
      { verdict: { result: { spoof_percentage: 0.2 } } },
    ]);
    expect(assessed).toEqual([20]);
  });

  it('gives no result to a check that was cancelled while it ran', async () => {
    const { run, queue, imageStore } = setUp({ a: 10, b: 20 });
    const get = imageStore.get;
    imageStore.get = async (ids) => {
      queueMicrotask(() => void queue.cancel('a'));
      return get(ids);
    };
    expect(await run('a', 'b')).toMatchObject([{ code: 'canceled' }, { verdict: {} }]);
  });
});
