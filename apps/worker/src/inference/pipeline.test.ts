import type { ImageHeader } from '@livegate/core/domain';
import { expect, test } from 'vitest';
import { type AssessedBySet, assessImage, chooseFace } from './pipeline.js';
import { fromRows } from './picture.js';

/** A photo of 12 megapixels. */
const header: ImageHeader = {
  kind: 'jpeg',
  width: 4000,
  height: 3000,
  components: 3,
  hasEnd: true,
  cost: { samples: 18e6, heldBytes: 0 },
};

test('assessImage holds memory for one look at a time, for the size of its decode', async () => {
  const events: string[] = [];
  const assess = (kind: 'too_small' | 'no_face') =>
    ({ assessment: { kind, facePixels: 600 }, timings: {}, modelSet: {} }) as AssessedBySet;
  const answers = [assess('too_small'), assess('no_face')];
  const assessed = await assessImage(
    { bytes: new Uint8Array(), header },
    {
      async reserve(factor, look) {
        events.push(`reserve 1/${factor}`);
        return await look().finally(() => events.push('release'));
      },
      async decode(_bytes, _header, factor) {
        events.push(`decode 1/${factor}`);
        return fromRows({ pixels: new Uint8Array(3), width: 1, height: 1 });
      },
      async assessInBatch() {
        events.push('assess');
        return answers.shift()!;
      },
    },
  );
  expect(assessed.assessment.kind).toBe('no_face');
  const look = (factor: number) => [
    `reserve 1/${factor}`,
    `decode 1/${factor}`,
    'assess',
    'release',
  ];
  expect(events).toEqual([...look(5), ...look(3)]);
});

function faceOf(side: number, score = 0.95) {
  return { box: { left: 0, top: 0, right: side / 2, bottom: side }, score };
}

test('chooseFace returns no_face without a face', () => {
  expect(chooseFace([], 0.25)).toEqual({ kind: 'no_face' });
});

test('chooseFace ignores a second face below the size ratio, whatever its score', () => {
  const choice = chooseFace([faceOf(24, 0.99), faceOf(100)], 0.25);
  expect(choice).toEqual({ kind: 'one', box: faceOf(100).box });
});

test('chooseFace returns too_many_faces for a second face at the size ratio', () => {
  expect(chooseFace([faceOf(100), faceOf(25)], 0.25)).toEqual({ kind: 'too_many_faces' });
});
