import sharp from 'sharp';
import { expect, test } from 'vitest';
import { readPixels, toMovable } from './decode-pixels.js';

const SIDE = 1000;
const grey = { width: SIDE, height: SIDE, channels: 3, background: '#808080' } as const;

test('pixels can be transferred to another thread', async () => {
  const { pixels, width, height } = toMovable(await readPixels(sharp({ create: grey })));
  expect({ width, height, bytes: pixels.length }).toEqual({
    width: SIDE,
    height: SIDE,
    bytes: 3 * SIDE * SIDE,
  });
  const moved = structuredClone(pixels, { transfer: [pixels.buffer as ArrayBuffer] });
  expect(pixels).toHaveLength(0);
  expect(moved[0]).toBe(0x80);
});

test('the memory of many pictures is given back', async () => {
  const pictures = 200;
  toMovable(await readPixels(sharp({ create: grey })));
  const before = process.memoryUsage.rss();
  for (let i = 0; i < pictures; i++) toMovable(await readPixels(sharp({ create: grey })));
  const grown = process.memoryUsage.rss() - before;
  expect(grown / (3 * SIDE * SIDE)).toBeLessThan(pictures / 2);
});
