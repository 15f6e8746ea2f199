import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelFacts } from '@livegate/core/domain';
import { type Classifier, type Detector, MANIFEST_FILE, parseManifest } from './model-manifest.js';

/** A model's description and its bytes, whose hash was checked. */
export type Loaded<Model> = Model & { bytes: Uint8Array };

export interface LoadedModels {
  detector: Loaded<Detector>;
  classifiers: Loaded<Classifier>[];
  facts: ModelFacts[];
}

/**
 * Reads the models of a profile from a prepared folder. Throws an Error that names the first
 * missing or changed file.
 */
export async function loadModels(modelsDir: string, profile = 'default'): Promise<LoadedModels> {
  const path = join(modelsDir, profile === 'default' ? MANIFEST_FILE : `${profile}.json`);
  const manifest = parseManifest((await readModelFile(path)).toString('utf8'), path);
  return {
    detector: await loadModel(modelsDir, manifest.detector),
    classifiers: await Promise.all(
      manifest.classifiers.map((model) => loadModel(modelsDir, model)),
    ),
    facts: [
      toFacts(manifest.detector, 'detect'),
      ...manifest.classifiers.map((model) => toFacts(model, 'classify')),
    ],
  };
}

async function loadModel<Model extends Detector | Classifier>(
  modelsDir: string,
  model: Model,
): Promise<Loaded<Model>> {
  const path = join(modelsDir, model.file);
  const bytes = await readModelFile(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== model.sha256) {
    throw new Error(
      `${path} is not the file its manifest describes (sha256 ${sha256}, expected ` +
        `${model.sha256}): run "npm run models" to fetch it again`,
    );
  }
  return { ...model, bytes };
}

async function readModelFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new Error(`cannot read ${path}: run "npm run models" to fetch it`, { cause });
  }
}

function toFacts(model: Detector | Classifier, task: ModelFacts['task']): ModelFacts {
  return { name: model.name, version: model.version, sha256: model.sha256, task };
}
