import { type Outline, placeFace, type Point } from '@livegate/core/browser';
import { turnBy } from '@livegate/core/domain';
import { openScheduler } from '@livegate/worker/scheduling/schedule-images';
import { oriented, orientations } from '@livegate/testing/images/odd-images';
import { face } from '@livegate/testing/images/photos';
import { tilted, withBars } from '@livegate/testing/images/surrounds';
import { schedulerConfig } from '@livegate/testing/models/scheduler-config';
import { silentLog } from '@livegate/testing/redis/sandbox';
import sharp from 'sharp';
import { afterAll, expect, it } from 'vitest';

const layout = { engines: 1, intraOpThreads: 1, maxBatch: 4 };
const deps = { log: silentLog, onLost: () => expect.unreachable() };
const pipeline = await openScheduler({ ...schedulerConfig, layout, concurrency: 16 }, deps);
afterAll(() => pipeline.close());

const SCALE = 2.7;
const photo = await face('photo 3 left');
const { width, height } = await sharp(photo).metadata();
const upright = await locate(photo);

/** Where the pipeline saw the face and its view, in the image as a viewer shows it. */
async function locate(bytes: Buffer): Promise<{ face: Outline; view: Outline }> {
  const { assessment } = await pipeline.assess(bytes);
  if (assessment.kind !== 'scored') throw new Error(assessment.kind);
  const { quality, rotation } = assessment;
  const { autoOrient: image } = await sharp(bytes).metadata();
  const { face: found, views } = placeFace({ ...quality, rotation }, { image, scales: [SCALE] });
  return { face: found, view: views[0]! };
}

/** How far the corners are from those of the upright photo after `move`, in faces. */
async function missOf(bytes: Buffer, move: (point: Point) => Point): Promise<number> {
  const found = await locate(bytes);
  const size = Math.abs(upright.view[1].x - upright.view[0].x) / SCALE;
  const misses = (['face', 'view'] as const).flatMap((name) =>
    upright[name].map((corner, i) => {
      const expected = move(corner);
      return Math.hypot(found[name][i]!.x - expected.x, found[name][i]!.y - expected.y);
    }),
  );
  return Math.max(...misses) / size;
}

/** The center of an image stays the center when the image is turned and its canvas grows. */
function turnAround(degrees: number, canvas: { width: number; height: number }) {
  return ({ x, y }: Point): Point => {
    const turned = turnBy(degrees)({ x: x - width / 2, y: y - height / 2 });
    return { x: canvas.width / 2 + turned.x, y: canvas.height / 2 + turned.y };
  };
}

it('the outlines are around the face of an upright photo', () => {
  const [upperLeft, , lowerRight] = upright.face;
  expect(upperLeft.x / width).toBeCloseTo(0.38, 1);
  expect(upperLeft.y / height).toBeCloseTo(0.32, 1);
  expect(lowerRight.x / width).toBeCloseTo(0.61, 1);
  const [left, right] = [upright.view[0], upright.view[1]];
  const faceHeight = upright.face[3].y - upright.face[0].y;
  expect((right.x - left.x) / faceHeight).toBeCloseTo(SCALE, 5);
});

it.each([90, 180, 270])('the outlines turn with a photo on its side: %i degrees', async (by) => {
  const bytes = await sharp(photo).rotate(by).jpeg().toBuffer();
  const { width: across, height: down } = await sharp(bytes).metadata();
  const move = turnAround(by, { width: across, height: down });
  expect(await missOf(bytes, move)).toBeLessThan(0.15);
});

it.each([
  { left: 200, right: 200 },
  { top: 150, bottom: 90 },
  { left: 60, right: 60, top: 300, bottom: 300 },
])('the outlines stay on the face inside bars: %j', async (sides) => {
  const { left, top } = { left: 0, top: 0, ...sides };
  const bytes = await withBars(photo, 'black', sides);
  expect(await missOf(bytes, ({ x, y }) => ({ x: x + left, y: y + top }))).toBeLessThan(0.15);
});

it.each([20, -30, 110])('the outlines tilt with a photo on a canvas: %i degrees', async (by) => {
  const bytes = await tilted(photo, by, 'black');
  const { width: across, height: down } = await sharp(bytes).metadata();
  const move = turnAround(by, { width: across, height: down });
  expect(await missOf(bytes, move)).toBeLessThan(0.15);
});

it.each(orientations)('the outlines follow the EXIF orientation %i', async (orientation) => {
  expect(await missOf(await oriented(photo, orientation), (point) => point)).toBeLessThan(0.15);
});
