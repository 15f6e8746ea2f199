import { EventEmitter, once } from 'node:events';
import { LivegateError } from '@livegate/core/domain';
import type { Log } from '@livegate/core/telemetry';
import sharp from 'sharp';
import { exampleQuality } from '@livegate/testing';
import { expect, test, vi } from 'vitest';
import { preparedModels } from '@livegate/testing/models/prepared-models';
import { type AssessedRun, EngineCrash } from '../engine/open-engine.js';
import { countCpus } from '../engine/count-cpus.js';
import type { Engines } from '../engine/open-engines.js';
import { decodePixels } from '../inference/decode/decode-pixels.js';
import type { Picture } from '../inference/picture.js';
import type { Rollout } from '../models/rollout.js';
import { planBatches } from './model-set.js';
import { openScheduler } from './schedule-images.js';

vi.mock(import('../inference/decode/decode-pixels.js'), { spy: true });

const timings = { detectMs: 1, classifyMs: 2 };
const modelsDir = await preparedModels();

type BeforeRun = (widths: number[], byCanary: boolean) => Partial<AssessedRun> | void;

/** A scheduler whose engines score an image by its width; `beforeRun` may fail or change a run. */
async function open(
  beforeRun: BeforeRun = () => {},
  rollout: Rollout = { profile: 'default' },
  concurrency = 3,
) {
  const runs: number[][] = [];
  const openEngines = (byCanary: boolean): Engines => ({
    layout: { engines: 1, intraOpThreads: 1, maxBatch: 8 },
    async assess(pictures: Picture[]) {
      const widths = pictures.map(({ width }) => width);
      runs.push(widths);
      const answers = widths.map((width) => ({
        assessment: {
          kind: 'scored' as const,
          spoofProbability: width / 100,
          logit: 0,
          views: [],
          rotation: 0 as const,
          quality: exampleQuality,
        },
        timings,
      }));
      return { answers, runMs: 3, ...beforeRun(widths, byCanary) };
    },
    longestRunMs: () => 0,
    close: async () => undefined,
  });
  let opened = 0;
  const warn = vi.fn<Log['warn']>();
  const layout = { engines: undefined, intraOpThreads: undefined, maxBatch: undefined };
  const scheduler = await openScheduler(
    {
      modelsDir,
      rollout,
      tuning: { cutPoints: { level: 'regular' } },
      maxImagePixels: 1e6,
      lingerMs: 10_000,
      runAhead: false,
      executionProvider: 'cpu',
      devices: 1,
      layout,
      faceScoreThreshold: 0.9,
      minFaceRatio: 0.25,
      concurrency,
    },
    {
      // The current models are opened first.
      open: async () => openEngines(opened++ > 0),
      log: { warn } as unknown as Log,
      onLost: expect.unreachable,
    },
  );
  const scoreOf = async (width: number, alone?: () => Promise<void>) => {
    const { assessment } = await scheduler.assess(await imageOf(width), { beforeAlone: alone });
    return assessment.kind === 'scored' ? assessment.spoofProbability : assessment.kind;
  };
  return { scheduler, runs, warn, scoreOf };
}

function imageOf(width: number): Promise<Buffer> {
  const create = { width, height: 10, channels: 3 as const, background: 'white' };
  return sharp({ create }).png().toBuffer();
}

test.each([1, 2])('takes two images for each engine, with batches of %i on a CPU', (maxBatch) => {
  const layout = { engines: 2, intraOpThreads: 1, maxBatch };
  expect(planBatches(layout, { lingerMs: 0, runAhead: false }).capacity).toBe(4);
});

test.each([
  { runAhead: false, concurrency: undefined, plan: { maxMixed: 1, maxAhead: 0, capacity: 8 } },
  { runAhead: true, concurrency: undefined, plan: { maxMixed: 4, maxAhead: 2, capacity: 24 } },
  { runAhead: true, concurrency: 5, plan: { maxMixed: 4, maxAhead: 2, capacity: 5 } },
])(
  'takes a batch for each engine, three with runAhead, or the configured concurrency: %j',
  ({ plan, ...settings }) => {
    const layout = { engines: 2, intraOpThreads: 1, maxBatch: 4 };
    const planned = planBatches(layout, { lingerMs: 3, ...settings });
    expect(planned).toEqual({ maxBatch: 4, maxRuns: 2, lingerMs: 3, ...plan });
  },
);

const shareOf = (flow: string) => ({ flow, weight: 1, ms: 20 });

/** The current models answer all checks, or the canary does. */
const answering: Rollout[] = [
  { profile: 'default' },
  { profile: 'default', canary: { profile: 'default', share: 1 } },
];

test('images that arrive together run in one batch', async () => {
  const { runs, scoreOf } = await open();
  expect(await Promise.all([scoreOf(20), scoreOf(30), scoreOf(40)])).toEqual([0.2, 0.3, 0.4]);
  expect(runs.map((run) => run.toSorted((a, b) => a - b))).toEqual([[20, 30, 40]]);
});

test.each(answering)(
  'on a CPU, images of several flows run one by one, with %j',
  async (rollout) => {
    const { scheduler, runs } = await open(undefined, rollout);
    const assess = async (width: number, flow: string) =>
      scheduler.assess(await imageOf(width), { checkId: `${width}`, share: shareOf(flow) });
    await Promise.all([assess(20, 'a'), assess(30, 'b'), assess(40, 'a')]);
    expect(runs.map((run) => run.length)).toEqual([1, 1, 1]);
  },
);

test.each(answering)('flows take turns at the engines, with %j', async (rollout) => {
  const { scheduler, runs } = await open(undefined, rollout, 4);
  const decoded = new EventEmitter();
  let decodes = 0;
  const allDecoded = once(decoded, 'fourth');
  const beforeBatch = async () => {
    decoded.emit(decodes++ === 3 ? 'fourth' : 'earlier');
    await allDecoded;
  };
  const widths = [20, 21, 22, 30];
  const images = await Promise.all(widths.map(imageOf));
  const assess = (image: Buffer, i: number) => {
    const share = shareOf(i < 3 ? 'flood' : 'other');
    return scheduler.assess(image, { checkId: `${i}`, share, beforeBatch });
  };
  await Promise.all(images.map(assess));
  const order = runs.flat();
  // The first of each flow have the same rank.
  expect(order.slice(0, 2).toSorted((a, b) => a - b)).toEqual([20, 30]);
  expect(order.slice(2)).toEqual([21, 22]);
});

test('the decode of an image starts before those of a flood of another flow that wait', async () => {
  const atOnce = 2 * countCpus();
  const { scheduler } = await open(undefined, undefined, 3 * atOnce + 1);
  scheduler.drain();
  const images = await Promise.all([imageOf(50), imageOf(51)]);
  const assess = (flow: 'flood' | 'other') =>
    scheduler.assess(images[flow === 'flood' ? 0 : 1], { share: shareOf(flow) });
  const { mock } = vi.mocked(decodePixels).mockClear();
  const flood = Array.from({ length: 3 * atOnce }, () => assess('flood'));
  await Promise.all([...flood, assess('other')]);
  // A decode may end after one that starts later.
  const started = mock.calls.map(([, { pixels }]) => pixels);
  expect(started.indexOf(510)).toBe(atOnce);
});

test('the images of a crashed engine run again, each one alone', async () => {
  let crashes = 1;
  const { scheduler, runs, scoreOf } = await open(() => {
    scheduler.drain();
    if (crashes-- > 0) throw new EngineCrash('dead');
  });
  expect(await Promise.all([scoreOf(20), scoreOf(30), scoreOf(40)])).toEqual([0.2, 0.3, 0.4]);
  expect(
    runs
      .slice(1)
      .flat()
      .toSorted((a, b) => a - b),
  ).toEqual([20, 30, 40]);
});

test('only the image that crashes its engine again when it runs alone fails', async () => {
  const { scheduler, scoreOf } = await open((widths) => {
    scheduler.drain();
    if (widths.includes(30)) throw new EngineCrash('dead');
  });
  const ended = await Promise.allSettled([scoreOf(20), scoreOf(30), scoreOf(40)]);
  expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('an image that the canary cannot assess is assessed by the current models', async () => {
  const failInCanary: BeforeRun = (_widths, byCanary) => {
    if (byCanary) throw new Error('no score');
  };
  const canary = { profile: 'default', share: 1 };
  const { scheduler, runs, warn } = await open(failInCanary, { profile: 'default', canary });
  const { current } = scheduler.modelSets();
  expect(scheduler.modelSets()).toEqual({ current, canary: { ...current } });
  scheduler.drain();
  const beforeBatch = vi.fn<() => Promise<void>>(async () => undefined);
  const options = { checkId: 'a', beforeBatch };
  const { modelSet } = await scheduler.assess(await imageOf(20), options);
  expect(modelSet).toBe(current);
  expect(runs).toEqual([[20], [20]]);
  expect(beforeBatch).toHaveBeenCalledTimes(2);
  expect(warn).toHaveBeenCalledWith(
    { err: expect.objectContaining({ name: 'CanaryFailure' }) },
    'canary failed, image assessed by the current models',
  );
});

test('an image that must run alone runs after earlier images and before later ones', async () => {
  const { scheduler, runs, scoreOf } = await open();
  const earlier = scoreOf(20);
  scheduler.drain();
  const marked: unknown[] = [];
  const mark = async () => void marked.push([...runs]);
  await Promise.all([earlier, scoreOf(30, mark), scoreOf(40)]);
  const turn = runs.findIndex((run) => run.includes(30));
  expect(runs[turn]).toEqual([30]);
  expect(marked).toEqual([runs.slice(0, turn)]);
});

test('a failed batch is logged, and each image gets the answer of its retry', async () => {
  const broken = new Error('out of memory');
  const { scheduler, scoreOf, warn } = await open(([first = 0]) => ({
    answers: [new Error(`bad image of ${first}`)],
    broken,
  }));
  scheduler.drain();
  await expect(scoreOf(20)).rejects.toThrow('bad image of 20');
  expect(warn).toHaveBeenCalledWith({ err: broken, images: 1 }, 'batch failed, retried per image');
});

test('a scheduler tells its models, its layout and how many images it takes', async () => {
  const { scheduler } = await open();
  const { modelSets, executionProvider, layout, concurrency, longestRunMs } = scheduler;
  expect(modelSets()).toEqual({ current: expect.objectContaining({ profile: 'default' }) });
  expect({ executionProvider, layout, concurrency }).toEqual({
    executionProvider: 'cpu',
    layout: { engines: 1, intraOpThreads: 1, maxBatch: 8 },
    concurrency: 3,
  });
  expect(longestRunMs()).toBe(0);
  expect(scheduler.large.maxMegabytes).toBe(500);
  expect(scheduler.large.megabytesOf(await imageOf(50))).toBe(0);
});

test('an image with too many pixels is refused before it is decoded', async () => {
  const { runs, scoreOf } = await open();
  await expect(scoreOf(100_001)).rejects.toMatchObject({ code: 'image_dimensions_exceeded' });
  expect(runs).toEqual([]);
});

test('an image that is not wanted any more after its decode never reaches an engine', async () => {
  const { scheduler, runs } = await open();
  scheduler.drain();
  const canceled = new LivegateError('canceled');
  const beforeBatch = vi.fn<() => Promise<void>>(() => Promise.reject(canceled));
  const assessed = scheduler.assess(await imageOf(50), { beforeBatch });
  await expect(assessed).rejects.toBe(canceled);
  expect(beforeBatch).toHaveBeenCalledTimes(1);
  await scheduler.assess(await imageOf(60), { beforeBatch: async () => undefined });
  expect(runs).toEqual([[60]]);
  await scheduler.close();
});
