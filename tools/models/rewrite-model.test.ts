import onnxProto from 'onnx-proto';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { faces } from '@livegate/testing/images/photos';
import { publishedModels } from '@livegate/testing/models/published-models';
import { largestDeviation, runModel } from '@livegate/testing/models/run-model';
import { freeBatchOf, rewriteModel } from './rewrite-model.js';

const { ModelProto } = onnxProto.onnx;

const CLASSIFIER = { width: 128, height: 128 };
const DETECTOR = { width: 320, height: 240 };

const published = await publishedModels();
const rewritten = {
  detector: rewriteModel(published.detector),
  classifier: rewriteModel(published.classifier),
};

interface Size {
  width: number;
  height: number;
}

/** Eight faces in the models' layout, float32 [8, 3, h, w], with values from 0 to 255. */
async function facesOf({ width, height }: Size): Promise<Float32Array> {
  const planes = await Promise.all(
    (await faces()).map(async (photo) => {
      const pixels = await sharp(photo).resize(width, height).raw().toBuffer();
      return [2, 1, 0].flatMap((channel) => [...pixels].filter((_, i) => i % 3 === channel));
    }),
  );
  return Float32Array.from(planes.flat());
}

test.each([1, 4, 8])(
  'the rewritten classifier computes the published logits for a batch of %i',
  async (count) => {
    const batch = (await facesOf(CLASSIFIER)).subarray(0, count * 3 * 128 * 128);
    const expected = await runModel(freeBatchOf(published.classifier), { ...CLASSIFIER, batch });
    const found = await runModel(rewritten.classifier, { ...CLASSIFIER, batch });
    expect(found['output']).toHaveLength(count * 3);
    expect(largestDeviation(found['output']!, expected['output']!)).toBeLessThan(1e-5);
  },
);

test('the rewritten detector computes the published scores and boxes', async () => {
  const batch = (await facesOf(DETECTOR)).map((value) => (value - 127) / 128);
  const expected = await runModel(freeBatchOf(published.detector), { ...DETECTOR, batch });
  const found = await runModel(rewritten.detector, { ...DETECTOR, batch });
  expect(largestDeviation(found['scores']!, expected['scores']!)).toBeLessThan(1e-5);
  expect(largestDeviation(found['boxes']!, expected['boxes']!)).toBeLessThan(1e-5);
});

test('the rewritten classifier has no node that leaves ONNX Runtime’s blocked layout', () => {
  const { node, initializer } = ModelProto.decode(rewritten.classifier).graph!;
  expect(node!.map(({ opType }) => opType)).not.toContain('PRelu');
  const sizes = new Map(initializer!.map(({ name, dims }) => [name, dims!.map(Number)]));
  const channels = node!
    .filter(({ opType }) => opType === 'Conv')
    .map(({ input }) => sizes.get(input![1]!)![0]!);
  expect(channels).toHaveLength(55);
  expect(channels.filter((count) => count % 16 > 0)).toEqual([]);
});

test.each(['detector', 'classifier'] as const)(
  'rewriting a rewritten model changes no byte: %s',
  (which) => {
    const again = rewriteModel(rewritten[which]);
    expect(Buffer.compare(again, rewritten[which])).toBe(0);
  },
);

test('rewriteModel throws for a file that is not a model', () => {
  expect(() => rewriteModel(new Uint8Array())).toThrow('the file is not an ONNX model');
});
