import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { describeModels } from '@livegate/core/domain';
import { followRollout } from '@livegate/worker/models/follow-rollout';
import { readRollout, type Rollout, ROLLOUT_FILE } from '@livegate/worker/models/rollout';
import {
  type Answer,
  startRunningWorker,
  type WorkerOptions,
} from '@livegate/testing/models/running-worker';
import {
  byGreen,
  byRed,
  createTinyProfiles,
  unprovable,
} from '@livegate/testing/models/tiny-profiles';
import { silentLog } from '@livegate/testing/redis/sandbox';
import { pino } from 'pino';
import sharp from 'sharp';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

vi.setConfig({ testTimeout: 60_000 });
const pollOptions = { timeout: 30_000, interval: 20 };
const red = await sharp({ create: { width: 32, height: 32, channels: 3, background: '#f00' } })
  .png()
  .toBuffer();

/** The models of `default` call a red image live, those of `next` a spoof. */
async function setUp(change: Partial<WorkerOptions> = {}) {
  const profiles = await createTinyProfiles({ default: byRed, next: byGreen, unprovable });
  onTestFinished(profiles.remove);
  const warnings: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => warnings.push(line) });
  // Two images run and two wait for an engine, as soon as four callers send checks.
  const layout = { engines: 2, intraOpThreads: 1, maxBatch: 1 };
  const fixed = { modelsDir: profiles.modelsDir, layout, log };
  const product = await startRunningWorker({ ...fixed, ...change });
  onTestFinished(product.close);
  const { registry, scheduler } = product;
  const current = () => describeModels(scheduler.modelSets().current.models);
  const announced = async () => (await registry.list()).map(({ models }) => describeModels(models));
  return { ...product, profiles, warnings, current, announced };
}

/** Which models answered, and what: an answer that mixes two sets would show here. */
function summarize({ outcome }: Answer): string {
  if (!outcome || 'error' in outcome) return `error: ${outcome?.error}`;
  const { model, verdict } = outcome.result;
  const version = /tiny-\w+-liveness\/([\w-]+)/.exec(model)?.[1];
  return `${version}: ${verdict.kind === 'scored' ? verdict.status : verdict.kind}`;
}

describe('a swap under load', () => {
  it('loses no check, answers each by the old or the new models, and later ones by the new', async () => {
    const { startLoad, scheduler, announced, current, warnings } = await setUp();
    const load = startLoad(red, 6);
    await vi.waitUntil(() => load.answers.length > 50, pollOptions);
    expect(await scheduler.use({ profile: 'next' })).toBe(true);
    const swappedAt = performance.now();
    const answered = load.answers.length;
    await vi.waitUntil(() => load.answers.length > answered + 50, pollOptions);
    const answers = await load.stop();
    const later = answers.filter(({ submittedAt }) => submittedAt > swappedAt);
    expect(new Set(answers.map(summarize))).toEqual(new Set(['red: LOW', 'green: HIGH']));
    expect(new Set(later.map(summarize))).toEqual(new Set(['green: HIGH']));
    // Such as that an engine was closed with an image in it, which then runs again.
    expect(warnings).toEqual([]);
    expect(current()).toContain('tiny-next-liveness/green');
    await expect.poll(announced, pollOptions).toEqual([current()]);
  });

  it('back and forth and back again loses no check', async () => {
    const { startLoad, scheduler, warnings } = await setUp();
    const load = startLoad(red, 6);
    for (const profile of ['next', 'default', 'next', 'default']) {
      expect(await scheduler.use({ profile })).toBe(true);
    }
    const swappedAt = performance.now();
    const answered = load.answers.length;
    await vi.waitUntil(() => load.answers.length > answered + 20, pollOptions);
    const answers = await load.stop();
    expect(new Set(answers.map(summarize))).toEqual(new Set(['red: LOW', 'green: HIGH']));
    const later = answers.filter(({ submittedAt }) => submittedAt > swappedAt);
    expect(new Set(later.map(summarize))).toEqual(new Set(['red: LOW']));
    expect(warnings).toEqual([]);
  });

  it('lets an image whose engine crashes meanwhile run again by the new models', async () => {
    const threads: Worker[] = [];
    const note = (thread: Worker) => threads.push(thread);
    process.on('worker', note);
    onTestFinished(() => void process.off('worker', note));
    const layout = { engines: 1, intraOpThreads: 1, maxBatch: 1 };
    const { check, scheduler } = await setUp({ layout });
    const [thread] = threads;
    thread!.postMessage = () => {
      void scheduler.use({ profile: 'next' }).then(() => thread!.terminate());
    };
    expect(summarize(await check(red))).toBe('green: HIGH');
  });

  it('announces the new models to the gateways at once', async () => {
    const { scheduler, worker, announced, current } = await setUp();
    await scheduler.use({ profile: 'next' });
    await worker.register();
    expect(await announced()).toEqual([current()]);
  });
});

describe('a swap that fails', () => {
  it.each<[string, Rollout, string]>([
    ['of an unknown profile', { profile: 'unknown' }, 'unknown'],
    ['of models with another hash', { profile: 'damaged' }, 'sha256'],
    ['of models that do not pass the proof', { profile: 'unprovable' }, 'tiny-unprovable-liveness'],
    [
      'because of its canary',
      { profile: 'next', canary: { profile: 'unprovable', share: 1 } },
      'tiny-unprovable-liveness',
    ],
    [
      'because of its shadow',
      { profile: 'next', shadow: { profile: 'damaged', share: 1 } },
      'sha256',
    ],
  ])('%s changes nothing, and says why', async (_, rollout, reason) => {
    const { startLoad, scheduler, profiles, current } = await setUp();
    await profiles.write('damaged', byGreen);
    await profiles.damage('damaged');
    const load = startLoad(red, 2);
    await expect(scheduler.use(rollout)).rejects.toThrow(reason);
    const answered = load.answers.length;
    await vi.waitUntil(() => load.answers.length > answered + 10, pollOptions);
    expect(new Set((await load.stop()).map(summarize))).toEqual(new Set(['red: LOW']));
    expect(current()).toContain('tiny-default-liveness/red');
    expect(await scheduler.use({ profile: 'next' })).toBe(true);
  });

  it('does not keep a worker from starting, if it is of a canary or shadow', async () => {
    const trial = { profile: 'unprovable', share: 1 };
    const { check } = await setUp({
      rollout: { profile: 'next', canary: trial, shadow: trial },
    });
    expect(summarize(await check(red))).toBe('green: HIGH');
  });
});

describe('a worker that follows its models folder', () => {
  /** What was logged, in order. */
  async function follow() {
    const product = await setUp();
    const { modelsDir } = product.profiles;
    const logged: string[] = [];
    const note = (_: object, message: string) => void logged.push(message);
    const log = Object.assign(Object.create(silentLog), { info: note, error: note });
    const options = { modelsDir, settings: {}, file: await readRollout(modelsDir), log };
    const uses: Rollout[] = [];
    const follower = followRollout({ ...options, watchMs: 20 }, (rollout) => {
      uses.push(rollout);
      return product.scheduler.use(rollout);
    });
    onTestFinished(follower.close);
    /** As `npm run models -- use` and Kubernetes do: a new file takes the name of the old one. */
    const replace = async (text: string) => {
      const draft = join(modelsDir, randomUUID());
      await writeFile(draft, text);
      await rename(draft, join(modelsDir, ROLLOUT_FILE));
    };
    return { ...product, modelsDir, follower, logged, uses, replace };
  }

  it('swaps to the profile of a new active.json, and back when it is replaced', async () => {
    const { replace, current, logged } = await follow();
    await replace('{"profile":"next"}');
    await expect.poll(current, pollOptions).toContain('/green');
    await replace('{"profile":"default"}');
    await expect.poll(current, pollOptions).toContain('/red');
    await expect.poll(() => logged, pollOptions).toEqual(['models swapped', 'models swapped']);
  });

  it('swaps when Kubernetes moves the symbolic links of a mounted active.json', async () => {
    const { modelsDir, current } = await follow();
    const mount = await mkdtemp(join(tmpdir(), 'livegate-mount-'));
    onTestFinished(() => rm(mount, { recursive: true }));
    const publish = async (version: string, text: string) => {
      await mkdir(join(mount, version));
      await writeFile(join(mount, version, ROLLOUT_FILE), text);
      await symlink(version, join(mount, '..data_tmp'));
      await rename(join(mount, '..data_tmp'), join(mount, '..data'));
    };
    await publish('..v1', '{"profile":"next"}');
    await symlink(join('..data', ROLLOUT_FILE), join(mount, ROLLOUT_FILE));
    await symlink(join(mount, ROLLOUT_FILE), join(modelsDir, ROLLOUT_FILE));
    await expect.poll(current, pollOptions).toContain('/green');
    await publish('..v2', '{"profile":"default"}');
    await expect.poll(current, pollOptions).toContain('/red');
  });

  it('keeps its models when active.json is wrong, and takes the corrected one', async () => {
    const { replace, current, logged } = await follow();
    await replace('{"profile":');
    await expect.poll(() => logged, pollOptions).toHaveLength(1);
    expect(logged).toEqual(['model swap failed, the present models stay']);
    expect(current()).toContain('/red');
    await replace('{"profile":"next"}');
    await expect.poll(current, pollOptions).toContain('/green');
  });

  it('swaps to a new version of the same profile when it is told to reload', async () => {
    const { follower, profiles, current, logged } = await follow();
    await profiles.write('default', byGreen);
    await follower.reload('SIGHUP');
    expect(current()).toContain('/green');
    expect(logged).toEqual(['models swapped']);
  });

  it('only logs that nothing has changed when it is told to reload', async () => {
    const { follower, scheduler, logged } = await follow();
    const before = scheduler.modelSets().current;
    await follower.reload('SIGHUP');
    expect(logged).toEqual(['models unchanged']);
    expect(scheduler.modelSets().current).toBe(before);
  });

  it('reloads once more for all requests that arrive during a reload', async () => {
    const { follower, uses } = await follow();
    await Promise.all(Array.from({ length: 20 }, () => follower.reload('SIGHUP')));
    expect(uses).toHaveLength(2);
  });
});
