import { createHash } from 'node:crypto';
import { inspectHeader, type Rotation } from '@livegate/core/domain';
import { type FaceName, face, faceNames, noFace } from '@livegate/testing/images/photos';
import { preparedModels } from '@livegate/testing/models/prepared-models';
import { rowsOf } from '@livegate/testing/images/picture-rows';
import sharp from 'sharp';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { loadModels } from '../models/load-models.js';
import { openSession } from '../models/open-session.js';
import { createDecodeImage } from './decode/decode-image.js';
import type { FaceDetector } from './detect-faces.js';
import { detectUpright, type UprightPicture } from './detect-upright.js';
import { type Picture, reuseBatch, turnPicture } from './picture.js';

const decodeImage = createDecodeImage(1);
const { detector: model } = await loadModels(await preparedModels());
const cpu = { executionProvider: 'cpu', deviceId: 0, intraOpThreads: 1 } as const;
const session = await openSession(model, cpu);
afterAll(() => session.close());

/** The number of images in each run of the detector. */
const runs: number[] = [];
beforeEach(() => void runs.splice(0));
const detector: FaceDetector = {
  model,
  session: {
    ...session,
    run: (batch, count) => {
      runs.push(batch.length / (3 * model.input.width * model.input.height));
      return session.run(batch, count);
    },
  },
  takeBatch: reuseBatch(model.input),
  scoreThreshold: 0.9,
};

async function decode(bytes: Buffer): Promise<Picture> {
  return await decodeImage(bytes, inspectHeader(bytes, 4_000_000));
}

const pictures = Object.fromEntries(
  await Promise.all(faceNames.map(async (name) => [name, await decode(await face(name))] as const)),
) as Record<FaceName, Picture>;

/** The pixels as a hash, because comparing megabytes one by one takes minutes. */
function seen({ picture, faces }: UprightPicture) {
  const { width, height } = picture;
  const pixels = createHash('sha256').update(rowsOf(picture)).digest('hex');
  return { width, height, faces, pixels };
}

const upright = await detectUpright(detector, Object.values(pictures));

/** The rotation that undoes another one. */
function undo(rotation: Rotation): Rotation {
  return ((360 - rotation) % 360) as Rotation;
}

test.each([90, 180, 270] as const)(
  'every face that was turned by %d degrees is turned back and found where it was',
  async (rotation) => {
    const turned = await detectUpright(
      detector,
      Object.values(pictures).map((picture) => turnPicture(picture, rotation)),
    );
    expect(turned.map((found) => found.rotation)).toEqual(faceNames.map(() => undo(rotation)));
    // Pixels are turned exactly, so nothing may differ.
    expect(turned.map(seen)).toEqual(upright.map(seen));
  },
  20_000,
);

test('an upright photo costs one image of one detector run', async () => {
  const photo = pictures['photo 1 left'];
  const [found] = await detectUpright(detector, [photo]);
  expect(runs).toEqual([1]);
  expect(found?.rotation).toBe(0);
  expect(found?.picture).toBe(photo);
});

test('a blurred face is looked at again upside down, but not upright with its eyes above', async () => {
  const blurred = sharp(await face('photo 3 left')).blur(8);
  const photo = await decode(await blurred.jpeg().toBuffer());
  const [found] = await detectUpright(detector, [photo]);
  expect(found!.faces[0]!.score).toBeLessThan(0.999);
  expect({ runs, rotation: found!.rotation }).toEqual({ runs: [1], rotation: 0 });

  const [turned] = await detectUpright(detector, [turnPicture(photo, 180)]);
  expect(turned!.rotation).toBe(180);
});

test('the doubtful pictures of a batch share one more run, before those to turn', async () => {
  const photo = pictures['photo 3 middle'];
  const onItsSide = turnPicture(pictures['photo 3 left'], 90);
  const onItsHead = turnPicture(pictures['photo 4 left'], 180);
  await detectUpright(detector, [photo, onItsSide, onItsHead]);
  expect(runs[0]).toBe(3);
  expect(runs.find((count, i) => i > 0 && count === 2)).toBe(2);
});

test('no run is larger than the batch', async () => {
  const turned = Object.values(pictures).map((picture) => turnPicture(picture, 90));
  await detectUpright(detector, turned);
  expect(runs.length).toBeGreaterThan(2);
  expect(Math.max(...runs)).toBe(turned.length);
});

test('a picture beside a turned one gets exactly the faces that it gets alone', async () => {
  const photo = pictures['photo 1 left'];
  const onItsSide = turnPicture(pictures['photo 3 left'], 270);
  const together = await detectUpright(detector, [onItsSide, photo, onItsSide]);
  const [alone] = await detectUpright(detector, [photo]);
  const [turnedAlone] = await detectUpright(detector, [onItsSide]);
  expect(together.map(seen)).toEqual([turnedAlone!, alone!, turnedAlone!].map(seen));
  expect(together.map(({ rotation }) => rotation)).toEqual([90, 0, 90]);
});

test('a picture without a face is not turned', async () => {
  const picture = await decode(await noFace());
  const [found] = await detectUpright(detector, [picture]);
  expect(found).toMatchObject({ rotation: 0, faces: [] });
  expect(found?.picture).toBe(picture);
});
