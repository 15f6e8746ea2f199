import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import { isInTrial, parseRollout, readRollout, ROLLOUT_FILE, startingRollout } from './rollout.js';

const canary = { profile: 'next', share: 0.05 };
const shadow = { profile: 'big', share: 0.5 };

describe('a worker starts with', () => {
  it.each([
    ['the default profile, without settings', {}, undefined, { profile: 'default' }],
    ['active.json', {}, { profile: 'fast', canary }, { profile: 'fast', canary }],
    ['the environment, without active.json', { shadow }, undefined, { profile: 'default', shadow }],
    [
      'the environment before active.json, part by part',
      { profile: 'accurate', shadow },
      { profile: 'fast', canary, shadow: { profile: 'fast', share: 1 } },
      { profile: 'accurate', canary, shadow },
    ],
  ])('%s', (_, settings, file, rollout) => {
    expect(startingRollout(settings, file)).toEqual(rollout);
  });
});

describe('active.json', () => {
  async function write(text: string): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'livegate-rollout-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, ROLLOUT_FILE), text);
    return folder;
  }

  it('may be missing', async () => {
    const folder = await write('');
    await rm(join(folder, ROLLOUT_FILE));
    expect(await readRollout(folder)).toBeUndefined();
  });

  it('must be readable if it exists', async () => {
    const folder = await write('');
    await rm(join(folder, ROLLOUT_FILE));
    await mkdir(join(folder, ROLLOUT_FILE));
    await expect(readRollout(folder)).rejects.toThrow('EISDIR');
  });

  it('names the profile, and may name a canary and a shadow', async () => {
    const rollout = { profile: 'fast', canary, shadow };
    expect(await readRollout(await write(JSON.stringify(rollout)))).toEqual(rollout);
  });

  it.each([
    ['that is empty', '', 'not JSON'],
    ['that is cut off', '{"profile": "fa', 'not JSON'],
    ['without a profile', '{}', 'at profile'],
    ['with a misspelt part', '{"profile": "a", "canery": {}}', '"canery"'],
    ['with a share above 1', '{"profile": "a", "canary": {"profile": "b", "share": 5}}', 'share'],
  ])('is refused with its path: a file %s', async (_, text, problem) => {
    const folder = await write(text);
    await expect(readRollout(folder)).rejects.toThrow(join(folder, ROLLOUT_FILE));
    expect(() => parseRollout(text, 'active.json')).toThrow(problem);
  });
});

describe('a check', () => {
  const ids = Array.from({ length: 20_000 }, (_, i) => `check-${i}`);
  const chosenBy = (kind: 'canary' | 'shadow', share: number) =>
    ids.filter((id) => isInTrial(id, kind, share));

  test.each([0, 0.01, 0.05, 0.5, 1])('is in a trial with the probability of its share: %d', (p) => {
    // Six standard deviations of the binomial distribution.
    const tolerance = 6 * Math.sqrt((p * (1 - p)) / ids.length);
    expect(Math.abs(chosenBy('canary', p).length / ids.length - p)).toBeLessThanOrEqual(tolerance);
  });

  test('stays in a trial whose share grows', () => {
    const grown = new Set(chosenBy('canary', 0.3));
    expect(chosenBy('canary', 0.1).filter((id) => !grown.has(id))).toEqual([]);
  });

  test('is in the shadow independently of the canary', () => {
    const inCanary = new Set(chosenBy('canary', 0.5));
    const inBoth = chosenBy('shadow', 0.5).filter((id) => inCanary.has(id));
    expect(inBoth.length / ids.length).toBeCloseTo(0.25, 1);
  });
});
