import { LivegateError } from '@livegate/core';
import { createFakeImageStore, exampleWorker } from '@livegate/core/testing';
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

async function run(images: Record<string, number>, ids: string[]) {
  const imageStore = createFakeImageStore();
  for (const [id, byte] of Object.entries(images)) await imageStore.put(id, Uint8Array.of(byte));
  const checkBatch = createCheckBatch({
    imageStore,
    pipeline,
    cutPoints: { moderate: 0.4, high: 0.7 },
  });
  return checkBatch(ids.map((id) => ({ id, takenAt: 0 })));
}

describe('check batch', () => {
  it('gives each check the verdict of its own image', async () => {
    const results = await run({ a: 10, b: 50, c: 90 }, ['c', 'a', 'b']);
    expect(results).toMatchObject([
      { verdict: { result: { spoof_percentage: 0.9, status: 'HIGH' } } },
      { verdict: { result: { spoof_percentage: 0.1, status: 'LOW' } } },
      { verdict: { result: { spoof_percentage: 0.5, status: 'MODERATE' } } },
    ]);
  });

  it('tells which models answered and how long it took', async () => {
    const [result] = await run({ a: 10 }, ['a']);
    expect(result).toMatchObject({
      model: 'fr-detect/0.0.1+01234567, fr-liveness/0.0.1+89abcdef',
      timings: { decodeMs: 1, detectMs: 2, classifyMs: 3, workerMs: expect.any(Number) },
    });
  });

  it('lets a missing and a bad image fail alone', async () => {
    const results = await run({ a: 10, bad: 255, b: 20 }, ['a', 'gone', 'bad', 'b']);
    expect(results).toMatchObject([
      { verdict: { result: { spoof_percentage: 0.1 } } },
      { code: 'image_expired' },
      { code: 'invalid_image' },
      { verdict: { result: { spoof_percentage: 0.2 } } },
    ]);
  });
});
