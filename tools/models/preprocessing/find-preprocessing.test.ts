import { expect, test } from 'vitest';
import { measureScores } from '../add-file.js';
import { findPreprocessing, type LogitsOf } from './find-preprocessing.js';
import { type LabelledFace, type Preprocessing, usualViews } from './preprocessing.js';

/** Ten attacks and ten bona fide faces of each source. */
const faces: LabelledFace[] = ['a', 'b'].flatMap((source) =>
  Array.from({ length: 20 }, (_, i) => ({
    source,
    isAttack: i % 2 === 0,
    insideOf: (scale) => (scale <= 2 ? 1 : 0.3),
  })),
);

/** Numbers that have nothing to do with the labels. */
const noise = (face: number, seed: number) => Math.sin(37 * face + 11 * seed);

/** A model that separates all faces when its input is prepared as `truth` says, and none otherwise. */
function model(truth: Preprocessing, signal = 10): LogitsOf {
  return async ({ channels, range, liveClass, resize }, view) => {
    const isRight =
      channels === truth.channels && range === truth.range && liveClass === truth.liveClass;
    const isTrue = truth.views.some(
      ({ scale, fill }) => scale === view.scale && fill === view.fill,
    );
    const gain = isTrue && resize === truth.resize ? signal : signal / 8;
    const seed = view.scale + (view.fill === 'zero' ? 0 : 0.1);
    return faces.map(({ isAttack }, i) =>
      isRight ? (isAttack ? gain : -gain) + noise(i, seed) : noise(i, seed),
    );
  };
}

const example: Preprocessing = {
  channels: 'BGR',
  range: '0..1',
  liveClass: 1,
  resize: 'bilinear',
  views: [{ scale: 2, fill: 'zero' }],
};
const options = { classes: 2, known: {} };

test.each<Preprocessing>([
  { ...example, range: '0..255' },
  {
    ...example,
    channels: 'RGB',
    range: 'ImageNet',
    liveClass: 0,
    views: [{ scale: 1.5, fill: 'reflect' }],
  },
])('finds the preprocessing of a model: %j', async (truth) => {
  const ofThree = { classes: 3, known: {} };
  const { best, logits } = await findPreprocessing(faces, ofThree, model(truth, 1));
  expect(best).toEqual(truth);
  expect(measureScores(faces, logits).rates.auc).toBeGreaterThan(0.9);
});

test('shows and resizes a model only as known, and finds the rest', async () => {
  const truth: Preprocessing = {
    ...example,
    resize: 'area',
    // Neither is a view that is usually tried.
    views: [
      { scale: 2.35, fill: 'reflect' },
      { scale: 3, fill: 'zero' },
    ],
  };
  const tried = new Set<string>();
  const logitsOf = model(truth, 1);
  const known = { views: truth.views, resize: truth.resize };
  const { best, evidence } = await findPreprocessing(
    faces,
    { classes: 2, known },
    async (way, view) => {
      tried.add(`${view.scale} ${view.fill} ${way.resize}`);
      return await logitsOf(way, view);
    },
  );
  expect(best).toEqual(truth);
  expect([...tried]).toEqual(['2.35 reflect area', '3 zero area']);
  expect(evidence).toContain('Known: the views 2.35 reflect + 3 zero.');
  expect(evidence).toContain('Known: the resize area.');
  expect(evidence).not.toMatch(/two views|mean over all views|bilinear/);
});

test('the evidence has what was chosen first: two views and another resize', async () => {
  const views: Preprocessing['views'] = [
    { scale: 2, fill: 'zero' },
    { scale: 2.7, fill: 'reflect' },
  ];
  const truth: Preprocessing = { ...example, resize: 'area', views };
  const { best, evidence } = await findPreprocessing(faces, options, model(truth, 0.4));
  expect(best).toMatchObject({ resize: 'area' });
  expect(best.views).toHaveLength(2);
  expect(evidence).toMatch(/two views +\S+ \S+ \+ \S+ \S+ +\d\.\d+ +\S+ \S+ +\d\.\d+ *$/m);
  expect(evidence).toMatch(/resize +area .* bilinear/);
});

test('with known views the resize is still tried, and the other way round', async () => {
  const truth: Preprocessing = { ...example, channels: 'RGB', liveClass: 0, resize: 'area' };
  const find = (known: object) => findPreprocessing(faces, { classes: 2, known }, model(truth, 1));
  expect((await find({ views: truth.views })).evidence).toMatch(/resize +area .* bilinear/);
  expect((await find({ resize: truth.resize })).best).toEqual(truth);
});

test('a way that is right for most views beats one that a single view favours', async () => {
  const right = model({ ...example, channels: 'RGB', liveClass: 0 }, 1);
  const { best } = await findPreprocessing(faces, options, async (way, view) => {
    // The last view shows how the photos were cut, whatever the input is.
    const isLast = view === usualViews.at(-1);
    const isTrue = way.channels === 'BGR' && way.range === '-1..1' && isLast;
    return isTrue ? faces.map(({ isAttack }) => (isAttack ? 9 : -9)) : await right(way, view);
  });
  expect(best).toMatchObject({ channels: 'RGB', range: '0..1', liveClass: 0 });
});

test('the evidence names the best other answer, and warns of a view outside the photos', async () => {
  const truth: Preprocessing = { ...example, views: [{ scale: 4, fill: 'reflect' }] };
  const { evidence } = await findPreprocessing(faces, options, model(truth, 1));
  expect(evidence).toMatch(/channels +BGR +\d\.\d+ +RGB +\d\.\d+/);
  expect(evidence).toMatch(/live class +1 +\d\.\d+ +0 +\d\.\d+/);
  expect(evidence).toContain('20 attacks, 20 bona fide faces');
  expect(evidence).toContain('at most 30 % of the view 4 reflect lies inside');
});

test('a model that separates nothing is refused, with the evidence', async () => {
  const found = findPreprocessing(faces, options, async (_, view) =>
    faces.map((__, i) => noise(i, usualViews.indexOf(view))),
  );
  await expect(found).rejects.toThrow(/no preprocessing separates[^]*channels/);
});

test('measureScores proposes cut points that keep the BPCER of each level', () => {
  // Bona fide logits -9, -8 … 10; attacks all above.
  const many: LabelledFace[] = Array.from({ length: 40 }, (_, i) => ({
    source: 'a',
    isAttack: i >= 20,
    insideOf: () => 1,
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
