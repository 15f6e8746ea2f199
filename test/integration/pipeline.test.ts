import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { readCatalogue } from '@livegate/worker/models/load-models';
import { openScheduler, type SchedulerConfig } from '@livegate/worker/scheduling/schedule-images';
import type { Picture } from '@livegate/worker/inference/picture';
import sharp from 'sharp';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import * as odd from '@livegate/testing/images/odd-images';
import {
  faces,
  groupPhoto,
  noFace,
  roundThing,
  selfie,
  tightCrop,
} from '@livegate/testing/images/photos';
import { tilted, withBars } from '@livegate/testing/images/surrounds';
import { countProcesses } from '@livegate/testing/models/decode-processes';
import { schedulerConfig } from '@livegate/testing/models/scheduler-config';
import { silentLog } from '@livegate/testing/redis/sandbox';

const config: SchedulerConfig = {
  ...schedulerConfig,
  layout: { engines: 1, intraOpThreads: 1, maxBatch: 4 },
  concurrency: 16,
};
const deps = { log: silentLog, onLost: () => expect.unreachable() };
// Drawn from SVG, which this process can no longer read once a pipeline has been opened.
const drawnRoundThing = await roundThing();
const pipeline = await openScheduler(config, deps);

afterAll(() => pipeline.close());

async function summarize(image: Uint8Array): Promise<string> {
  return await pipeline.assess(image).then(
    ({ assessment }) => assessment.kind,
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
}

async function scoreOf(image: Uint8Array, { assess } = pipeline): Promise<number> {
  const { assessment } = await assess(image);
  if (assessment.kind !== 'scored') throw new Error(assessment.kind);
  return assessment.spoofProbability;
}

function summarizeAll(images: Uint8Array[]): Promise<string[]> {
  return Promise.all(images.map(summarize));
}

/** A pipeline for one test, and the threads that it starts. */
async function open(change: Partial<SchedulerConfig>) {
  const threads: Worker[] = [];
  const note = (thread: Worker) => threads.push(thread);
  process.on('worker', note);
  onTestFinished(() => void process.off('worker', note));
  const own = await openScheduler({ ...config, ...change }, deps);
  onTestFinished(() => own.close());
  return { own, threads };
}

test('the pipeline counts faces', async () => {
  const images = [await noFace(), await groupPhoto(), await selfie()];
  expect(await summarizeAll(images)).toEqual(['no_face', 'too_many_faces', 'scored']);
});

test('the second detector read finds a tightly cropped face, and no false face in round shapes', async () => {
  expect(await summarizeAll([await tightCrop(), drawnRoundThing])).toEqual(['scored', 'no_face']);
});

test('images in a batch get exactly the scores that each gets alone', async () => {
  const images = [...(await faces()), await noFace(), await groupPhoto()];
  const together = await Promise.all(images.map((image) => pipeline.assess(image)));
  for (const [i, image] of images.entries()) {
    const alone = await pipeline.assess(image);
    expect(together[i]?.assessment).toEqual(alone.assessment);
  }
});

test('images in queued engine runs get the scores that each gets alone', async () => {
  const { own } = await open({ runAhead: true, layout: { ...config.layout, maxBatch: 1 } });
  const images = [...(await faces()), await noFace(), await groupPhoto()];
  const together = await Promise.all(images.map((image) => own.assess(image)));
  for (const [i, image] of images.entries()) {
    expect(together[i]?.assessment).toEqual((await pipeline.assess(image)).assessment);
  }
});

test('the eight EXIF orientations of a photo score the same within 0.001', async () => {
  const photo = await selfie();
  const images = await Promise.all(odd.orientations.map((o) => odd.oriented(photo, o)));
  const scores = await Promise.all(images.map((image) => scoreOf(image)));
  expect(Math.max(...scores) - Math.min(...scores)).toBeLessThan(0.001);
});

/** A phone's photo of 4032x3024 pixels with a face of this share of its height, lying on its side. */
async function phonePhoto(share: number): Promise<Buffer> {
  const { width, height } = { width: 3024, height: 4032 };
  const person = await sharp(await selfie())
    .resize({ height: Math.round(share * height) })
    .toBuffer();
  // Patches, because a surround of one color would be removed.
  const noise = { type: 'gaussian', mean: 128, sigma: 20 } as const;
  const patches = { width: 12, height: 16, channels: 3, background: 'black', noise } as const;
  const scene = await sharp({ create: patches })
    .resize(width, height)
    .composite([{ input: person }])
    .png({ compressionLevel: 1 })
    .toBuffer();
  return await sharp(scene)
    .rotate(-90)
    .withIccProfile('p3')
    .withMetadata({ orientation: 6 })
    .jpeg({ quality: 92 })
    .toBuffer();
}

test.each([
  ['in one look', 0.9, [806]],
  ['in two looks if its face is small', 0.5, [806, 1344]],
])(
  'a phone photo of 12 MP is judged as at its full size, %s',
  async (_name, share, sides) => {
    const { own, threads } = await open({});
    const posts = vi.spyOn(threads[0]!, 'postMessage');
    const photo = await phonePhoto(share);
    const { assessment: found } = await own.assess(photo);
    const looks = posts.mock.calls.flatMap(
      ([request]) => (request as { pictures?: Picture[] }).pictures ?? [],
    );
    expect(looks.map(({ width, height }) => Math.max(width, height))).toEqual(sides);

    // A PNG is not shrunk.
    const { assessment: whole } = await own.assess(await toPng(photo));
    if (found.kind !== 'scored' || whole.kind !== 'scored') throw new Error(found.kind);
    expect(Math.abs(found.spoofProbability - whole.spoofProbability)).toBeLessThan(0.05);
    expect(found.quality.codes).toEqual(whole.quality.codes);
    const { facePixels } = found.quality.measures;
    expect(facePixels / whole.quality.measures.facePixels).toBeCloseTo(1, 1);
  },
  60_000,
);

function toPng(photo: Buffer): Promise<Buffer> {
  return sharp(photo).rotate().png({ compressionLevel: 1 }).toBuffer();
}

test.each([90, 180, 270] as const)(
  'a selfie that lies turned by %d degrees, without EXIF, scores as upright and is reported',
  async (degrees) => {
    const photo = await sharp(await selfie())
      .png()
      .toBuffer();
    const turned = await sharp(photo).rotate(degrees).png().toBuffer();
    const { assessment: upright } = await pipeline.assess(photo);
    const { assessment } = await pipeline.assess(turned);
    const rotation = 360 - degrees;
    const quality = { codes: ['image_rotated'], measures: { rotation } };
    expect(upright).toMatchObject({ rotation: 0, quality: { codes: [] } });
    expect(assessment).toEqual({ ...upright, rotation, quality: expect.anything() });
    expect(assessment).toMatchObject({ quality });
  },
);

test('a selfie between bars, or tilted on white, scores LOW like the photo alone', async () => {
  const photo = await selfie();
  const bars = await withBars(photo, 'black', { left: 200, right: 200 });
  for (const image of [bars, await tilted(photo, 20, 'white')]) {
    expect(await scoreOf(image)).toBeLessThan(0.05);
  }
});

test('CMYK, grayscale, alpha and 16-bit images are scored, and LOW like the photo', async () => {
  const photo = await selfie();
  for (const form of [odd.cmykJpeg, odd.grayscaleJpeg, odd.alphaPng, odd.sixteenBitPng]) {
    expect(await scoreOf(await form(photo))).toBeLessThan(0.05);
  }
});

test('a corrupt image fails alone, not the other images of its batch', async () => {
  const photo = await selfie();
  expect(await summarizeAll([photo, odd.truncated(photo), odd.pngBomb(), photo])).toEqual([
    'scored',
    'invalid_image',
    'image_dimensions_exceeded',
    'scored',
  ]);
});

test('the largest images are decoded one at a time, and selfies do not wait for them', async () => {
  const frame = { frame: 0xc2, components: [1, 2, 3], scans: odd.slowScans };
  const [large, photo] = [odd.emptyJpeg(5600, frame), await selfie()];
  const ended: string[] = [];
  const note = async (name: string, image: Buffer) => {
    ended.push(`${name}: ${await summarize(image)}`);
  };
  const larges = [note('large', large), note('large', large)];
  await vi.waitUntil(() => countProcesses() > 0, { timeout: 10_000 });
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, countProcesses())), 10);
  onTestFinished(() => clearInterval(watch));
  await note('selfie', photo);
  await Promise.all(larges);
  expect(ended).toEqual(['selfie: scored', 'large: no_face', 'large: no_face']);
  expect(most).toBe(1);
}, 60_000);

test('a profile of own.json fuses the logits of its classifiers by weight', async () => {
  const modelsDir = await mkdtemp(join(tmpdir(), 'livegate-own-'));
  onTestFinished(() => rm(modelsDir, { recursive: true }));
  await cp(config.modelsDir, modelsDir, { recursive: true });
  const { models, profiles } = await readCatalogue(modelsDir);
  const { calibration: _, ...profile } = profiles['default']!;
  const [ours] = profile.classifiers;
  // The default classifier, and one whose logit is 4 higher.
  const alarmist = { ...ours!, model: 'alarmist', platt: { slope: 1, intercept: 4 } };
  const own = {
    format: 'livegate-catalogue/1',
    models: { alarmist: models['fr-liveness'] },
    profiles: { two: { ...profile, classifiers: [{ ...ours!, weight: 3 }, alarmist] } },
  };
  await writeFile(join(modelsDir, 'own.json'), JSON.stringify(own));

  const { own: two } = await open({ modelsDir, rollout: { profile: 'two' } });
  const [fused, alone] = await Promise.all(
    [two, pipeline].map(async ({ assess }) => (await assess(await selfie())).assessment),
  );
  if (fused?.kind !== 'scored' || alone?.kind !== 'scored') throw new Error('not scored');
  expect(fused.logit - alone.logit).toBeCloseTo(1, 6);
  // Without a calibration, the score is the plain sigmoid.
  expect(fused.spoofProbability).toBeCloseTo(1 / (1 + Math.exp(-fused.logit)), 10);
  const { current } = two.modelSets();
  expect(current.calibration).toBeUndefined();
  expect(current.models.map(({ name }) => name)).toEqual(['fr-detect', 'fr-liveness', 'alarmist']);
});

test('the pipeline returns the duration of each stage', async () => {
  const { timings } = await pipeline.assess(await selfie());
  const someTime = expect.toSatisfy((ms: number) => ms > 0);
  expect(timings).toEqual({ decodeMs: someTime, detectMs: someTime, classifyMs: someTime });
});

test.each([
  { maxBatch: 4, runAhead: false },
  { maxBatch: 1, runAhead: true },
])('a dead engine thread is replaced, its images assessed by the next: %j', async (given) => {
  const { maxBatch, runAhead } = given;
  const { own, threads } = await open({ runAhead, layout: { ...config.layout, maxBatch } });
  const photos = [await selfie(), await noFace(), await selfie()];
  const expected = ['scored', 'no_face', 'scored'];
  const inWork = photos.map((photo) => own.assess(photo));
  // From now on, every request ends the thread.
  threads[0]!.postMessage = () => void threads[0]!.terminate();
  const kinds = (await Promise.all(inWork)).map(({ assessment }) => assessment.kind);
  expect(kinds).toEqual(expected);
  expect(threads).toHaveLength(2);
});

test('unset layout values use all cores, for two images each', async () => {
  const layout = { engines: undefined, intraOpThreads: undefined, maxBatch: undefined };
  const { own } = await open({ layout, concurrency: undefined });
  const { engines, maxBatch } = own.layout;
  expect({ maxBatch, concurrency: own.concurrency }).toEqual({
    maxBatch: 2,
    concurrency: 2 * engines,
  });
  expect(await scoreOf(await selfie(), own)).toBeLessThan(0.05);
});

test.each(['cuda', 'tensorrt', 'coreml', 'dml'] as const)(
  'a missing execution provider "%s" stops startup with the reason',
  async (executionProvider) => {
    const start = openScheduler({ ...config, executionProvider }, deps);
    await expect(start).rejects.toThrow(`execution provider "${executionProvider}": `);
  },
);
