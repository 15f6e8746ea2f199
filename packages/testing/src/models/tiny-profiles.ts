import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MANIFEST_FILE } from '../../../../apps/worker/src/models/model-manifest.js';
import { meanOfColors, type TinyPipeline, tinyModels } from './tiny-pipeline.js';
import type { TinyNode } from './tiny-model.js';

const output = { name: 'output', values: 'probabilities' as const };

/** P(live) is the share of red, or of green: the two disagree about a red and a green image. */
export const byRed: TinyPipeline = { classifier: { manifest: { version: 'red' } } };
export const byGreen: TinyPipeline = {
  classifier: { manifest: { version: 'green', output: { ...output, liveClass: 1 } } },
};

/** Passes the proof, which is a black image. The score of any other color is not a number. */
export const onlyBlack: TinyPipeline = {
  classifier: {
    manifest: { version: 'only-black' },
    nodes: [
      meanOfColors('light'),
      { type: 'Neg', inputs: ['light'], output: 'dark' } satisfies TinyNode,
      { type: 'Sqrt', inputs: ['dark'], output: 'output' } satisfies TinyNode,
    ],
  },
};

/** Fails the proof: it has no such class. */
export const unprovable: TinyPipeline = {
  classifier: { manifest: { version: 'unprovable', output: { ...output, liveClass: 3 } } },
};

/** A models folder with tiny models for each profile. */
export async function createTinyProfiles(profiles: Record<string, TinyPipeline>) {
  const modelsDir = await mkdtemp(join(tmpdir(), 'livegate-tiny-'));
  for (const [profile, given] of Object.entries(profiles)) await write(profile, given);
  return {
    modelsDir,
    /** Adds or replaces a profile. */
    write,
    /** Changes a model of the profile, so that its hash is wrong. */
    damage: (profile: string) => writeFile(join(modelsDir, `${profile}-liveness.onnx`), 'changed'),
    remove: () => rm(modelsDir, { recursive: true }),
  };

  async function write(profile: string, given: TinyPipeline): Promise<void> {
    const { detector, classifiers } = tinyModels(given);
    const writeModel = async <Model extends { bytes: Uint8Array }>(model: Model, file: string) => {
      const { bytes, ...described } = model;
      await writeFile(join(modelsDir, file), bytes);
      return { ...described, file, sha256: createHash('sha256').update(bytes).digest('hex') };
    };
    const manifest = {
      detector: await writeModel(detector, `${profile}-detect.onnx`),
      classifiers: [await writeModel(classifiers[0]!, `${profile}-liveness.onnx`)],
    };
    const name = profile === 'default' ? MANIFEST_FILE : `${profile}.json`;
    await writeFile(join(modelsDir, name), JSON.stringify(manifest));
  }
}
