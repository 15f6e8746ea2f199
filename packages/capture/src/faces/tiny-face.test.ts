import { readFileSync } from 'node:fs';
import {
  face,
  type FaceName,
  noFace,
  selfie,
  selfieWithPasserBy,
} from '@livegate/testing/images/photos';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ModelManifest } from './layers.js';
import { createTinyFace } from './tiny-face.js';

const model = new URL(
  '../../../../node_modules/@vladmandic/face-api/model/tiny_face_detector_model',
  import.meta.url,
).pathname;

let find: ReturnType<typeof createTinyFace>;

beforeAll(() => {
  const [manifest] = JSON.parse(
    readFileSync(`${model}-weights_manifest.json`, 'utf8'),
  ) as ModelManifest[];
  find = createTinyFace(manifest!, readFileSync(`${model}.bin`));
});

/** The faces as shares of the side of a square picture, the photo in its upper left. */
async function findIn(photo: Buffer, side = 160) {
  const { data, info } = await sharp(photo)
    .resize({ width: side, height: side, fit: 'inside' })
    .toBuffer({ resolveWithObject: true });
  const square = sharp(data).extend({
    right: side - info.width,
    bottom: side - info.height,
    background: 'black',
  });
  const pixels = await square.ensureAlpha().raw().toBuffer();
  const faces = find(new Uint8ClampedArray(pixels), side);
  return faces.map((box) => ({
    x: (box.x + box.width / 2) / side,
    y: (box.y + box.height / 2) / side,
    size: Math.max(box.width, box.height) / side,
  }));
}

describe('the tiny face detector', () => {
  it.each<FaceName>([
    'photo 1 left',
    'photo 1 middle',
    'photo 1 right',
    'photo 2 right',
    'photo 3 left',
    'photo 3 middle',
    'photo 4 left',
  ])('finds the one face of %s, in the middle of its cut', async (name) => {
    const faces = await findIn(await face(name));
    expect(faces).toHaveLength(1);
    expect(Math.abs(faces[0]!.x - 0.41)).toBeLessThan(0.1);
    expect(Math.abs(faces[0]!.y - 0.47)).toBeLessThan(0.12);
    expect(faces[0]!.size).toBeGreaterThan(0.25);
    expect(faces[0]!.size).toBeLessThan(0.5);
  });

  it('finds two people', async () => {
    expect(await findIn(await selfieWithPasserBy(0.9), 224)).toHaveLength(2);
  });

  it('finds nobody in a picture without a face', async () => {
    expect(await findIn(await noFace())).toEqual([]);
  });

  it('measures a face half as large as half the size', async () => {
    const { width, height } = await sharp(await selfie()).metadata();
    const wide = { right: width, bottom: height, background: 'gray' };
    const [whole] = await findIn(await selfie());
    const [half] = await findIn(
      await sharp(await selfie())
        .extend(wide)
        .toBuffer(),
      224,
    );
    expect(half!.size / whole!.size).toBeGreaterThan(0.4);
    expect(half!.size / whole!.size).toBeLessThan(0.6);
  });

  it('refuses weights that do not fit their manifest', () => {
    const [manifest] = JSON.parse(
      readFileSync(`${model}-weights_manifest.json`, 'utf8'),
    ) as ModelManifest[];
    expect(() => createTinyFace(manifest!, new Uint8Array(100_000))).toThrow('manifest');
  });
});
