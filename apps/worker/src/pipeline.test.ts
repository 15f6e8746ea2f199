import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LivegateError } from '@livegate/core';
import { afterAll, expect, test } from 'vitest';
import * as odd from '../../../test/fixtures/odd-images.js';
import {
  faces,
  groupPhoto,
  noFace,
  roundThing,
  selfie,
  tightCrop,
} from '../../../test/fixtures/photos.js';
import { preparedModels } from '../../../test/fixtures/prepared-models.js';
import { MANIFEST_FILE, parseManifest } from './model-manifest.js';
import { openSession } from './onnx/open-session.js';
import { createPipeline } from './pipeline.js';
import type { AssessedImage, PipelineConfig } from './pipeline.js';

const config: PipelineConfig = {
  modelsDir: await preparedModels(),
  maxImagePixels: 50_000_000,
  faceScoreThreshold: 0.9,
  minFaceRatio: 0.25,
  executionProvider: 'cpu',
  intraOpThreads: 1,
};
// Drawn as SVG, which a pipeline forbids this process to read from then on.
const drawnRoundThing = await roundThing();
const pipeline = await createPipeline(config);

afterAll(() => pipeline.close());

function summarize(outcome: AssessedImage | LivegateError | undefined): string {
  if (!outcome || outcome instanceof LivegateError) return outcome?.code ?? 'nothing';
  return outcome.assessment.kind;
}

async function scoreOf(image: Uint8Array): Promise<number> {
  const [outcome] = await pipeline.assess([image]);
  if (!outcome || outcome instanceof LivegateError) throw outcome;
  if (outcome.assessment.kind !== 'scored') throw new Error(outcome.assessment.kind);
  return outcome.assessment.spoofProbability;
}

test('faces are counted', async () => {
  const outcomes = await pipeline.assess([await noFace(), await groupPhoto(), await selfie()]);
  expect(outcomes.map(summarize)).toEqual(['no_face', 'too_many_faces', 'scored']);
});

test('a second look finds a tightly cut face, and takes nothing round for one', async () => {
  const outcomes = await pipeline.assess([await tightCrop(), drawnRoundThing]);
  expect(outcomes.map(summarize)).toEqual(['scored', 'no_face']);
});

test('a batch gives exactly what its images give one by one', async () => {
  const images = [...(await faces()), await noFace(), await groupPhoto()];
  const together = await pipeline.assess(images);
  const alone = await Promise.all(images.map((image) => pipeline.assess([image])));
  const assessments = (outcomes: (AssessedImage | LivegateError)[]) =>
    outcomes.map((outcome) => outcome instanceof LivegateError || outcome.assessment);
  expect(assessments(together)).toEqual(assessments(alone.flat()));
});

test('the eight EXIF orientations of a photo score the same within 0.001', async () => {
  const photo = await selfie();
  const images = await Promise.all(odd.orientations.map((o) => odd.oriented(photo, o)));
  const scores = await Promise.all(images.map(scoreOf));
  expect(Math.max(...scores) - Math.min(...scores)).toBeLessThan(0.001);
});

test('CMYK, grayscale, alpha and 16-bit images are scored, and LOW like the photo', async () => {
  const photo = await selfie();
  for (const form of [odd.cmykJpeg, odd.grayscaleJpeg, odd.alphaPng, odd.sixteenBitPng]) {
    expect(await scoreOf(await form(photo))).toBeLessThan(0.05);
  }
});

test('a corrupt image fails alone in a batch', async () => {
  const photo = await selfie();
  const outcomes = await pipeline.assess([photo, odd.truncated(photo), odd.pngBomb(), photo]);
  expect(outcomes.map(summarize)).toEqual([
    'scored',
    'invalid_image',
    'image_dimensions_exceeded',
    'scored',
  ]);
});

test('when a batch run fails, its images are assessed one by one', async () => {
  const poisoned = await createPipeline(config, async (model, options) => {
    const session = await openSession(model, options);
    const largestBatch = 2 * 4 * 3 * 128 * 128; // the views of two faces
    return {
      ...session,
      run: (batch) =>
        model.name === 'fr-liveness' && batch.length > largestBatch
          ? Promise.reject(new Error('out of memory'))
          : session.run(batch),
    };
  });
  const outcomes = await poisoned.assess([await selfie(), await selfie(), await selfie()]);
  expect(outcomes.map(summarize)).toEqual(['scored', 'scored', 'scored']);
  await poisoned.close();
});

test('a manifest of one’s own fuses its classifiers by weight', async () => {
  const modelsDir = await mkdtemp(join(tmpdir(), 'livegate-own-'));
  await cp(config.modelsDir, modelsDir, { recursive: true });
  const path = join(modelsDir, MANIFEST_FILE);
  const manifest = parseManifest(await readFile(path, 'utf8'), path);
  const [ours] = manifest.classifiers;
  // The default classifier, and one certain of a spoof whatever it sees.
  const alarmist = { ...ours!, name: 'alarmist', calibration: { slope: 1, intercept: 100 } };
  const classifiers = [{ ...ours!, weight: 3 }, alarmist];
  await writeFile(path, JSON.stringify({ ...manifest, classifiers }));

  const own = await createPipeline({ ...config, modelsDir });
  const [outcome] = await own.assess([await selfie()]);
  expect(outcome).toMatchObject({ assessment: { spoofProbability: expect.closeTo(0.25, 2) } });
  expect(own.models.map(({ name }) => name)).toEqual(['fr-detect', 'fr-liveness', 'alarmist']);
  await own.close();
  await rm(modelsDir, { recursive: true });
});

test('timings are given for each stage', async () => {
  const [outcome] = await pipeline.assess([await selfie()]);
  expect(outcome).toMatchObject({
    timings: {
      decodeMs: expect.toSatisfy((ms: number) => ms > 0),
      detectMs: expect.toSatisfy((ms: number) => ms > 0),
      classifyMs: expect.toSatisfy((ms: number) => ms > 0),
    },
  });
});

test('an execution provider that is not there stops the start', async () => {
  await expect(createPipeline({ ...config, executionProvider: 'coreml' })).rejects.toThrow(
    '"coreml"',
  );
});

test('no images, no answers', async () => {
  expect(await pipeline.assess([])).toEqual([]);
});
