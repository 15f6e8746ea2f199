import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  meanOfColors,
  type TinyPipeline,
  type TinyProfile,
  writeTinyCatalogue,
  writeTinyProfile,
} from './tiny-pipeline.js';
import type { TinyNode } from './tiny-model.js';

const output = { name: 'output', values: 'probabilities' as const };

/** P(live) is the share of red, or of green: the two disagree about a red and a green image. */
export const byRed: TinyPipeline = { classifier: { entry: { version: 'red' } } };
export const byGreen: TinyPipeline = {
  classifier: {
    entry: { version: 'green', output: { ...output, classes: ['spoof', 'live', 'spoof'] } },
  },
};

/** Passes the proof, which is a black image. The score of any other color is not a number. */
export const onlyBlack: TinyPipeline = {
  classifier: {
    entry: { version: 'only-black' },
    nodes: [
      meanOfColors('light'),
      { type: 'Neg', inputs: ['light'], output: 'dark' } satisfies TinyNode,
      { type: 'Sqrt', inputs: ['dark'], output: 'output' } satisfies TinyNode,
    ],
  },
};

/** Fails the proof: it has three classes. */
export const unprovable: TinyPipeline = {
  classifier: {
    entry: { version: 'unprovable', output: { ...output, classes: ['live', 'spoof'] } },
  },
};

/** A models folder with tiny models for each profile. */
export async function createTinyProfiles(profiles: Record<string, TinyPipeline>) {
  const modelsDir = await mkdtemp(join(tmpdir(), 'livegate-tiny-'));
  const written: Record<string, TinyProfile> = {};
  for (const [profile, given] of Object.entries(profiles)) await write(profile, given);
  return {
    modelsDir,
    /** Adds or replaces a profile. */
    write,
    /** Changes a model of the profile, so that its hash is wrong. */
    damage: (profile: string) =>
      writeFile(join(modelsDir, `tiny-${profile}-liveness.onnx`), 'changed'),
    remove: () => rm(modelsDir, { recursive: true }),
  };

  async function write(profile: string, given: TinyPipeline): Promise<void> {
    written[profile] = await writeTinyProfile(modelsDir, { given, prefix: `tiny-${profile}` });
    await writeTinyCatalogue(modelsDir, written);
  }
}
