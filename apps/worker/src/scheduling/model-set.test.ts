import type { Log } from '@livegate/core/telemetry';
import { tinyModels } from '@livegate/testing/models/tiny-pipeline';
import { expect, test } from 'vitest';
import type { Engines } from '../engine/open-engines.js';
import { identify, type ModelSetConfig, openModelSet } from './model-set.js';

const picture = () => ({ width: 8, height: 8, pixels: new Uint8Array(3 * 8 * 8) });
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
};

/** A set with one engine, whose runs end one by one. */
async function setUp() {
  const events: string[] = [];
  const runs: (() => void)[] = [];
  let crash = () => {};
  const engines: Engines = {
    layout: { engines: 1, intraOpThreads: 1, maxBatch: 1 },
    async assess() {
      await new Promise<void>((resolve) => runs.push(resolve));
      events.push('assessed');
      return { answers: [{ assessment, timings }], runMs: 3 };
    },
    longestRunMs: () => 0,
    close: async () => void events.push('closed'),
  };
  const set = await openModelSet(config, {
    log: {} as Log,
    open: async (_, { onLost }) => {
      crash = onLost;
      return engines;
    },
  });
  const settle = () => new Promise(setImmediate);
  return { set, events, runs, settle, crash: () => crash() };
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
