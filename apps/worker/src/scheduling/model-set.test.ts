import type { Log } from '@livegate/core/telemetry';
import { tinyModels } from '@livegate/testing/models/tiny-pipeline';
import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Engines } from '../engine/open-engines.js';
import { fromRows } from '../inference/picture.js';
import type { ObserveRuns } from '../telemetry/observe-runs.js';
import {
  identify,
  type ModelSetConfig,
  type ModelSetDeps,
  openModelSet,
  type QueuedImage,
} from './model-set.js';

const picture = () => fromRows({ width: 8, height: 8, pixels: new Uint8Array(3 * 8 * 8) });
const assessment = { kind: 'no_face' } as const;
const timings = { detectMs: 1, classifyMs: 2 };
const config: ModelSetConfig = {
  profile: 'default',
  models: tinyModels(),
  facts: { models: [], cutPoints: { moderate: 0.4, high: 0.7 } },
  executionProvider: 'cpu',
  devices: 1,
  layout: { engines: 1, intraOpThreads: 1, maxBatch: 1 },
  faceScoreThreshold: 0.9,
  minFaceRatio: 0.25,
  lingerMs: 0,
  runAhead: false,
  concurrency: 3,
};

/** A set with one engine, whose runs end one by one. */
async function setUp(given: Partial<ModelSetDeps> = {}) {
  const events: string[] = [];
  const assessed: number[] = [];
  const runs: (() => void)[] = [];
  let crash = () => {};
  const engines: Engines = {
    layout: { engines: 1, intraOpThreads: 1, maxBatch: 1 },
    async assess(pictures) {
      assessed.push(...pictures.map(({ width }) => width));
      await new Promise<void>((resolve) => runs.push(resolve));
      events.push('assessed');
      return { answers: [{ assessment, timings }], runMs: 3 };
    },
    longestRunMs: () => 17,
    close: async () => void events.push('closed'),
  };
  const set = await openModelSet(config, {
    log: {} as Log,
    open: async (_, { onLost }) => {
      crash = onLost;
      return engines;
    },
    ...given,
  });
  const settle = () => new Promise(setImmediate);
  return { set, events, assessed, runs, settle, crash: () => crash() };
}

test('a set that closes first assesses the pictures in its engines and its batcher', async () => {
  const { set, events, runs, settle } = await setUp();
  const answers = [set.assess(picture()), set.assess(picture())];
  const closed = set.close();
  await settle();
  expect(events).toEqual([]);
  runs.shift()!();
  await settle();
  runs.shift()!();
  await closed;
  expect(events).toEqual(['assessed', 'assessed', 'closed']);
  expect(await Promise.all(answers)).toMatchObject([{ assessment }, { assessment }]);
});

test('the traces and times of its pictures reach those who observe its runs', async () => {
  const seen: unknown[][] = [];
  const around: ObserveRuns['around'] = async (queued, run) => {
    seen.push([...queued]);
    return await run();
  };
  const { set, runs, settle } = await setUp({ runs: { around } as ObserveRuns });
  const before = performance.now();
  const check = ROOT_CONTEXT.setValue(Symbol('check'), 1);
  const active = vi.spyOn(context, 'active').mockReturnValue(check);
  onTestFinished(() => active.mockRestore());
  const answer = set.assess(picture());
  await settle();
  runs.shift()!();
  await answer;
  expect(seen).toMatchObject([[{ check, queuedAt: expect.any(Number) }]]);
  expect((seen as QueuedImage[][])[0]![0]!.queuedAt).toBeGreaterThanOrEqual(before);
});

test('pictures of a lower rank run first', async () => {
  const { set, assessed, runs, settle } = await setUp();
  const wide = (width: number) => ({ ...picture(), width });
  const answers = [set.assess(wide(1)), set.assess(wide(2), 5), set.assess(wide(3), 4)];
  for (let n = 0; n < 3; n++) {
    await settle();
    runs.shift()!();
  }
  await Promise.all(answers);
  expect(assessed).toEqual([1, 3, 2]);
});

test('a set tells its layout, how many pictures it takes, and its longest run', async () => {
  const { set } = await setUp();
  expect(set).toMatchObject({
    profile: 'default',
    layout: { engines: 1, maxBatch: 1 },
    capacity: 3,
  });
  expect(set.longestRunMs()).toBe(17);
  expect(set.identity).toBe(identify(config));
});

test('an answer names the set that made it', async () => {
  const { set, runs, settle } = await setUp();
  const answer = set.assess(picture());
  await settle();
  runs.shift()!();
  expect((await answer).modelSet).toBe(set.facts);
});

test('a set is lost when its engine cannot be replaced', async () => {
  const { set, crash } = await setUp();
  crash();
  await expect(set.lost).resolves.toBeUndefined();
});

test('two sets are the same when weights, cut points and the number of engines are', () => {
  const [one, same] = [identify(config), identify({ ...config, models: tinyModels() })];
  expect(same).toBe(one);
  const facts = { ...config.facts, cutPoints: { moderate: 0.4, high: 0.8 } };
  expect(identify({ ...config, facts })).not.toBe(one);
  expect(identify({ ...config, layout: { ...config.layout, engines: 2 } })).not.toBe(one);
  const [classifier] = config.models.classifiers;
  const classifiers = [{ ...classifier!, sha256: 'other' }];
  expect(identify({ ...config, models: { ...config.models, classifiers } })).not.toBe(one);
});
