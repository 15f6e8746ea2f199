import { expect, test } from 'vitest';
import { measureScores } from './add-file.js';
import {
  findPreprocessing,
  type LabelledFace,
  type LogitsOf,
  type Preprocessing,
  views,
} from './find-preprocessing.js';

/** Ten attacks and ten bona fide faces of each source. */
const faces: LabelledFace[] = ['a', 'b'].flatMap((source) =>
  Array.from({ length: 20 }, (_, i) => ({
    source,
    isAttack: i % 2 === 0,
    inside: views.map(({ scale }) => (scale <= 2 ? 1 : 0.3)),
  })),
);

/** Numbers that have nothing to do with the labels. */
const noise = (face: number, seed: number) => Math.sin(37 * face + 11 * seed);

/** A model that separates all faces when it is fed as told, and none otherwise. */
function model(told: Preprocessing, signal = 10): LogitsOf {
  return async ({ channels, range, liveClass, resize }, view) => {
    const isRight =
      channels === told.channels && range === told.range && liveClass === told.liveClass;
    const gain = told.shown.includes(view) && resize === told.resize ? signal : signal / 8;
    return faces.map(({ isAttack }, i) =>
      isRight ? (isAttack ? gain : -gain) + noise(i, view) : noise(i, view),
    );
  };
}

test.each<Preprocessing>([
  { channels: 'BGR', range: '0..255', liveClass: 1, resize: 'bilinear', shown: [4] },
  { channels: 'RGB', range: 'ImageNet', liveClass: 0, resize: 'bilinear', shown: [3] },
])('finds how the model is fed and read: %j', async (told) => {
  const { best, logits } = await findPreprocessing(faces, 3, model(told, 1));
  expect(best).toMatchObject({
    channels: told.channels,
    range: told.range,
    liveClass: told.liveClass,
    shown: told.shown,
  });
  expect(measureScores(faces, logits).rates.auc).toBeGreaterThan(0.9);
});

test('a way that is right for most views beats one that a single view favours', async () => {
  const told: Preprocessing = {
    channels: 'RGB',
    range: '0..1',
    liveClass: 0,
    resize: 'bilinear',
    shown: [2],
  };
  const right = model(told, 1);
  const { best } = await findPreprocessing(faces, 2, async (way, view) => {
    // The last view shows how the photos were cut, whatever the model is fed with.
    const isTold = way.channels === 'BGR' && way.range === '-1..1' && view === views.length - 1;
    return isTold ? faces.map(({ isAttack }) => (isAttack ? 9 : -9)) : await right(way, view);
  });
  expect(best).toMatchObject({ channels: 'RGB', range: '0..1', liveClass: 0 });
});

test('the evidence names the best other answer, and warns of a view outside the photos', async () => {
  const told: Preprocessing = {
    channels: 'BGR',
    range: '0..1',
    liveClass: 1,
    resize: 'bilinear',
    shown: [9],
  };
  const { evidence } = await findPreprocessing(faces, 2, model(told, 1));
  expect(evidence).toMatch(/channels +BGR +\d\.\d+ +RGB +\d\.\d+/);
  expect(evidence).toMatch(/live class +1 +\d\.\d+ +0 +\d\.\d+/);
  expect(evidence).toContain('20 attacks, 20 bona fide faces');
  expect(evidence).toContain('at most 30 % of the view 4 reflect lies inside');
});

test('a model that separates nothing is refused, with the evidence', async () => {
  const found = findPreprocessing(faces, 2, async (_, view) =>
    faces.map((__, i) => noise(i, view)),
  );
  await expect(found).rejects.toThrow(/no preprocessing separates[^]*channels/);
});

test('measureScores proposes cut points that keep the BPCER of each level', () => {
  // Bona fide logits -9, -8 … 10; attacks all above.
  const many: LabelledFace[] = Array.from({ length: 40 }, (_, i) => ({
    source: 'a',
    isAttack: i >= 20,
    inside: [],
  }));
  const logits = many.map(({ isAttack }, i) => (isAttack ? 12 : i / 10 - 1));
  const { cutPoints, rates } = measureScores(many, logits);
  expect(rates).toEqual({ auc: 1, eer: 0, apcer_at_bpcer_5: 0 });
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  const refused = (cut: number) =>
    many.filter(({ isAttack }, i) => !isAttack && sigmoid(logits[i]!) >= cut).length / 20;
  expect(refused(cutPoints.regular.high)).toBeLessThanOrEqual(0.05);
  expect(refused(cutPoints.regular.high - 0.03)).toBeGreaterThan(0.05);
  expect(refused(cutPoints.hardened.moderate)).toBeLessThanOrEqual(0.2);
  expect(cutPoints.soft.high).toBeGreaterThan(cutPoints.hardened.high);
});
