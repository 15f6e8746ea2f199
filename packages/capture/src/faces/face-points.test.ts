import { readFileSync } from 'node:fs';
import { face, type FaceName } from '@livegate/testing/images/photos';
import { tiltPhoto } from '@livegate/testing/images/weak-photos';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { createFacePoints, POINTS_SIDE } from './face-points.js';
import { largestFace } from './judge-faces.js';
import { isTurned, measureTurn } from './judge-turn.js';
import type { ModelManifest } from './layers.js';
import { createTinyFace } from './tiny-face.js';

const folder = new URL('../../../../node_modules/@vladmandic/face-api/model/', import.meta.url);

function load(name: string): [ModelManifest, Uint8Array] {
  const manifest = readFileSync(new URL(`${name}-weights_manifest.json`, folder), 'utf8');
  const [first] = JSON.parse(manifest) as [ModelManifest];
  return [first, readFileSync(new URL(`${name}.bin`, folder))];
}

const findFaces = createTinyFace(...load('tiny_face_detector_model'));
const findPoints = createFacePoints(...load('face_landmark_68_tiny_model'));

/** The points of the face of a photo, as the page finds them. */
async function pointsOf(photo: Buffer) {
  const side = 160;
  const { width, height } = await sharp(photo).metadata();
  const scale = Math.max(width, height) / side;
  const small = sharp(photo).resize({
    width: side,
    height: side,
    fit: 'contain',
    position: 'left top',
  });
  const pixels = await small.ensureAlpha().raw().toBuffer();
  const box = largestFace(findFaces(new Uint8ClampedArray(pixels), side))!;
  const size = Math.round(scale * Math.max(box.width, box.height));
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2].map((middle) =>
    Math.round(scale * middle - size / 2),
  ) as [number, number];
  // The square may reach beyond the photo.
  const border = { left: size, right: size, top: size, bottom: size, background: 'black' };
  const wide = await sharp(photo).extend(border).png().toBuffer();
  const square = sharp(wide).extract({
    left: x + size,
    top: y + size,
    width: size,
    height: size,
  });
  const rgba = await square.resize(POINTS_SIDE, POINTS_SIDE).ensureAlpha().raw().toBuffer();
  return findPoints(new Uint8ClampedArray(rgba));
}

const upright: FaceName[] = ['photo 1 left', 'photo 2 right', 'photo 3 left', 'photo 3 middle'];
/** Heads that are tilted to a shoulder. */
const tilted: FaceName[] = ['photo 1 middle', 'photo 1 right', 'photo 4 left'];

describe('the points of a face', () => {
  it('are those that face-api itself finds', () => {
    const pixels = { length: 4 * POINTS_SIDE ** 2 };
    const pattern = Uint8ClampedArray.from(pixels, (_, i) => (7919 * i + (i >> 7) * 131) % 256);
    const points = findPoints(pattern);
    expect(points).toHaveLength(68);
    // By face-api 1.7.15 with the CPU backend of TensorFlow.js, 2026-11-26.
    const expected: [number, number, number][] = [
      [0, 0.130866, 0.396612],
      [8, 0.494276, 0.909458],
      [16, 0.741136, 0.29121],
      [30, 0.414508, 0.485495],
      [36, 0.220495, 0.393595],
      [45, 0.605007, 0.337733],
      [48, 0.315416, 0.70019],
      [67, 0.396468, 0.658908],
    ];
    for (const [index, x, y] of expected) {
      expect(points[index]!.x).toBeCloseTo(x, 5);
      expect(points[index]!.y).toBeCloseTo(y, 5);
    }
  });

  it.each<FaceName>(['photo 1 left', 'photo 3 left', 'photo 3 middle'])(
    'of %s turn with the photo',
    async (name) => {
      const photo = await face(name);
      const { roll } = measureTurn(await pointsOf(photo));
      for (const degrees of [-15, 15]) {
        const turned = measureTurn(await pointsOf(await tiltPhoto(photo, degrees)));
        expect(Math.abs(turned.roll - roll - degrees)).toBeLessThan(10);
      }
    },
  );

  it.each(upright)('of %s need no hint', async (name) => {
    expect(isTurned(await pointsOf(await face(name)))).toBe(false);
  });

  it.each(tilted)('of %s show that the head is tilted', async (name) => {
    expect(isTurned(await pointsOf(await face(name)))).toBe(true);
  });

  it('are refused with weights that do not fit their manifest', () => {
    const [manifest] = load('face_landmark_68_tiny_model');
    expect(() => createFacePoints(manifest, new Uint8Array(100))).toThrow('manifest');
  });
});
