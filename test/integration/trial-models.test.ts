import type { Worker } from 'node:worker_threads';
import { isInTrial, type Rollout } from '@livegate/worker/models/rollout';
import { type Answer, startRunningWorker } from '@livegate/testing/models/running-worker';
import {
  byGreen,
  byRed,
  createTinyProfiles,
  onlyBlack,
} from '@livegate/testing/models/tiny-profiles';
import { collectMetrics } from './collect-metrics.js';
import { pino } from 'pino';
import sharp from 'sharp';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

vi.setConfig({ testTimeout: 60_000 });
const pollOptions = { timeout: 30_000, interval: 20 };
const metrics = collectMetrics();
const red = await sharp({ create: { width: 32, height: 32, channels: 3, background: '#f00' } })
  .png()
  .toBuffer();

/** The models of `default` call a red image live, those of `next` a spoof; `broken` has no score. */
async function setUp(rollout: Rollout) {
  const profiles = await createTinyProfiles({ default: byRed, next: byGreen, broken: onlyBlack });
  onTestFinished(profiles.remove);
  const threads: Worker[] = [];
  const note = (thread: Worker) => threads.push(thread);
  process.on('worker', note);
  onTestFinished(() => void process.off('worker', note));
  const lines: string[] = [];
  const log = pino({}, { write: (line) => lines.push(line) });
  const layout = { engines: 2, intraOpThreads: 1, maxBatch: 1 };
  const product = await startRunningWorker({ modelsDir: profiles.modelsDir, layout, rollout, log });
  onTestFinished(product.close);

  /** Two at a time, so that an engine is idle now and then. */
  async function checkAll(ids: string[]): Promise<Answer[]> {
    const answers: Answer[] = [];
    const waiting = [...ids];
    const call = async () => {
      for (let id = waiting.shift(); id; id = waiting.shift()) {
        answers.push(await product.check(red, id));
      }
    };
    await Promise.all([call(), call()]);
    return answers;
  }
  /** From now on, every request ends the thread of the latest engine. */
  const breakLatestEngine = () => {
    const thread = threads.at(-1)!;
    thread.postMessage = () => void thread.terminate();
  };
  return { ...product, lines, threads, checkAll, breakLatestEngine };
}

const listIds = (count: number) => Array.from({ length: count }, (_, i) => `check-${i}`);

/** The metric's increase since now. */
async function startCount(name: string, attributes: Record<string, string>) {
  const before = await metrics.readSum(name, attributes);
  return async () => (await metrics.readSum(name, attributes)) - before;
}

function summarize({ outcome }: Answer): string {
  if (!outcome || 'error' in outcome) return `error: ${outcome?.error}`;
  const { model, verdict } = outcome.result;
  const version = /liveness\/([\w-]+)/.exec(model)?.[1];
  return `${version}: ${verdict.kind === 'scored' ? verdict.status : verdict.kind}`;
}

const summarizeAll = (answers: Answer[]) => new Set(answers.map(summarize));

describe('a canary', () => {
  it('answers exactly the checks in its share, and its answers name it', async () => {
    const canary = { profile: 'next', share: 0.3 };
    const { checkAll } = await setUp({ profile: 'default', canary });
    const answers = await checkAll(listIds(150));
    const answered = answers.filter((answer) => summarize(answer) === 'green: HIGH');
    const expected = listIds(150).filter((id) => isInTrial(id, 'canary', 0.3));
    expect(answered.map(({ id }) => id).toSorted()).toEqual(expected.toSorted());
    expect(expected.length / 150).toBeCloseTo(0.3, 1);
    const others = answers.filter((answer) => !answered.includes(answer));
    expect(summarizeAll(others)).toEqual(new Set(['red: LOW']));
  });

  it('is announced to the gateways beside the current models', async () => {
    const canary = { profile: 'next', share: 0.3 };
    const { registry } = await setUp({ profile: 'default', canary });
    expect(await registry.list()).toMatchObject([
      {
        models: [{}, { version: 'red' }],
        canary: { models: [{}, { version: 'green' }], cutPoints: { high: 0.7 } },
      },
    ]);
  });

  it('answers no check any more once it is removed, and all once it is promoted', async () => {
    const canary = { profile: 'next', share: 0.5 };
    const { checkAll, scheduler } = await setUp({ profile: 'default', canary });
    await scheduler.use({ profile: 'default' });
    expect(summarizeAll(await checkAll(listIds(20)))).toEqual(new Set(['red: LOW']));
    await scheduler.use({ profile: 'next' });
    const more = listIds(20).map((id) => `${id}-promoted`);
    expect(summarizeAll(await checkAll(more))).toEqual(new Set(['green: HIGH']));
  });

  it('that gives no score fails no check: the current models answer', async () => {
    const failed = await startCount('livegate.model.assessments', {
      role: 'canary',
      status: 'failed',
    });
    const canary = { profile: 'broken', share: 1 };
    const { checkAll } = await setUp({ profile: 'default', canary });
    expect(summarizeAll(await checkAll(listIds(10)))).toEqual(new Set(['red: LOW']));
    expect(await failed()).toBe(10);
  });

  it('whose engine dies fails no check: the current models answer', async () => {
    // Half of the checks need one engine.
    const canary = { profile: 'next', share: 0.5 };
    const { checkAll, breakLatestEngine } = await setUp({ profile: 'default', canary });
    breakLatestEngine();
    const [first = '', ...ids] = listIds(20).filter((id) => isInTrial(id, 'canary', 0.5));
    expect(summarizeAll(await checkAll([first]))).toEqual(new Set(['red: LOW']));
    expect(summarizeAll(await checkAll(ids))).toEqual(new Set(['green: HIGH']));
  });

  it('does not get an image that must run alone, as it may have killed a worker', async () => {
    const canary = { profile: 'next', share: 1 };
    const { scheduler } = await setUp({ profile: 'default', canary });
    const run = { checkId: 'a', beforeAlone: async () => undefined };
    const { modelSet } = await scheduler.assess(red, run);
    expect(modelSet).toBe(scheduler.modelSets().current);
  });
});

describe('a shadow', () => {
  it('changes no answer, and each disagreement about a check in its share is counted', async () => {
    const pair = { agreement: 'different', answer: 'LOW', shadow: 'HIGH' };
    const [all, different] = [
      await startCount('livegate.shadow.checks', {}),
      await startCount('livegate.shadow.checks', pair),
    ];
    const shadow = { profile: 'next', share: 0.5 };
    const { checkAll, lines } = await setUp({ profile: 'default', shadow });
    const ids = listIds(40);
    expect(summarizeAll(await checkAll(ids))).toEqual(new Set(['red: LOW']));
    const chosen = ids.filter((id) => isInTrial(id, 'shadow', 0.5)).length;
    await expect.poll(different, pollOptions).toBe(chosen);
    expect(await all()).toBe(chosen);
    // From 0 to 1: in the highest bucket.
    const { counts } = await metrics.readBuckets('livegate.shadow.score.difference');
    expect(counts.at(-1)).toBe(chosen);
    expect(lines.filter((line) => /spoof|shadow|HIGH|LOW/i.test(line))).toEqual([]);
  });

  it('that agrees is counted as such', async () => {
    const pair = { agreement: 'same', answer: 'LOW', shadow: 'LOW' };
    const same = await startCount('livegate.shadow.checks', pair);
    const shadow = { profile: 'default', share: 1 };
    const { checkAll } = await setUp({ profile: 'default', shadow });
    await checkAll(listIds(10));
    await expect.poll(same, pollOptions).toBe(10);
  });

  it('that gives no score fails no check', async () => {
    const missed = await startCount('livegate.shadow.misses', { reason: 'failed' });
    const shadow = { profile: 'broken', share: 1 };
    const { checkAll } = await setUp({ profile: 'default', shadow });
    expect(summarizeAll(await checkAll(listIds(10)))).toEqual(new Set(['red: LOW']));
    await expect.poll(missed, pollOptions).toBe(10);
  });

  it('whose engine dies fails no check, and judges later ones with another engine', async () => {
    const [missed, compared] = [
      await startCount('livegate.shadow.misses', { reason: 'failed' }),
      await startCount('livegate.shadow.checks', { shadow: 'HIGH' }),
    ];
    const shadow = { profile: 'next', share: 1 };
    const { checkAll, breakLatestEngine } = await setUp({ profile: 'default', shadow });
    breakLatestEngine();
    expect(summarizeAll(await checkAll(listIds(5)))).toEqual(new Set(['red: LOW']));
    await expect.poll(compared, pollOptions).toBe(4);
    expect(await missed()).toBe(1);
  });

  it('judges no check any more once it is removed', async () => {
    const compared = await startCount('livegate.shadow.checks', {});
    const shadow = { profile: 'next', share: 1 };
    const { checkAll, scheduler } = await setUp({ profile: 'default', shadow });
    await checkAll(['a']);
    await expect.poll(compared, pollOptions).toBe(1);
    await scheduler.use({ profile: 'default' });
    await checkAll(['b', 'c']);
    await scheduler.use({ profile: 'default', shadow });
    await checkAll(['d']);
    await expect.poll(compared, pollOptions).toBe(2);
  });
});
