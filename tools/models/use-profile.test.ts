import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRollout, type Rollout, ROLLOUT_FILE } from '@livegate/worker/models/rollout';
import { expect, onTestFinished, test } from 'vitest';
import { type TrialShares, useProfile } from './use-profile.js';

/** A models folder, and `use` on it. */
async function setUp(environment = {}) {
  const modelsDir = await mkdtemp(join(tmpdir(), 'livegate-use-'));
  onTestFinished(() => rm(modelsDir, { recursive: true }));
  const use = (profile: string, shares: TrialShares = {}) =>
    useProfile(profile, { modelsDir, environment, ...shares });
  return { modelsDir, use };
}

test('a profile without a share answers all checks, and ends all trials', async () => {
  const { modelsDir, use } = await setUp();
  await use('next', { canary: 0.1, shadow: 0.5 });
  expect(await use('next')).toEqual({ profile: 'next' });
  expect(await readRollout(modelsDir)).toEqual({ profile: 'next' });
});

test.each<[string, [string, TrialShares][], Rollout]>([
  [
    'a canary is tried beside the present profile',
    [['next', { canary: 0.05 }]],
    { profile: 'fast', canary: { profile: 'next', share: 0.05 } },
  ],
  [
    'a shadow keeps the canary',
    [
      ['next', { canary: 0.05 }],
      ['big', { shadow: 0.5 }],
    ],
    {
      profile: 'fast',
      canary: { profile: 'next', share: 0.05 },
      shadow: { profile: 'big', share: 0.5 },
    },
  ],
  [
    'the share of a canary grows',
    [
      ['next', { canary: 0.05 }],
      ['next', { canary: 0.5 }],
    ],
    { profile: 'fast', canary: { profile: 'next', share: 0.5 } },
  ],
  [
    'a canary with the share 0 ends',
    [
      ['next', { canary: 0.05 }],
      ['next', { canary: 0 }],
    ],
    { profile: 'fast' },
  ],
])('%s', async (_, uses, rollout) => {
  const { modelsDir, use } = await setUp({ profile: 'fast' });
  for (const [profile, shares] of uses) await use(profile, shares);
  expect(await readRollout(modelsDir)).toEqual(rollout);
});

test('a share above 1 is refused, and the file stays as it is', async () => {
  const { modelsDir, use } = await setUp();
  await use('fast');
  await expect(use('next', { canary: 5 })).rejects.toThrow('share');
  expect(await readRollout(modelsDir)).toEqual({ profile: 'fast' });
  expect(await readdir(modelsDir)).toEqual([ROLLOUT_FILE]);
});
