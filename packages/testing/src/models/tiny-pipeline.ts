import { createHash } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadedModels } from '../../../../apps/worker/src/models/load-models.js';
import {
  type Catalogue,
  CATALOGUE_FILE,
  type Classifier,
  type Detector,
} from '../../../../apps/worker/src/models/catalogue.js';
import { encodeGraph, TINY_SIZE, tinyGraph, type TinyNode, type TinyTensor } from './tiny-model.js';

export interface TinyPipeline {
  /** Outputs `boxes` [batch, 4, 4] and, as `output`, the scores [batch, 4, 2]. */
  detector?: { nodes?: TinyNode[]; entry?: Partial<Detector> };
  /** Outputs `output` [batch, 3]: the mean of each color, 0..1. */
  classifier?: {
    nodes?: TinyNode[];
    entry?: Partial<Classifier>;
  };
}

/** Models that find one face in every image and use its share of red as P(live). */
export function tinyModels({ detector, classifier }: TinyPipeline = {}): LoadedModels {
  const common = {
    version: '1',
    licence: 'none',
    training_data: 'none',
    source: { type: 'added' as const, date: '2026-01-01', sha256: '0'.repeat(64) },
    sha256: '',
  };
  const input = {
    name: 'input',
    width: TINY_SIZE,
    height: TINY_SIZE,
    channels: 'RGB',
    subtract: [0, 0, 0],
    multiply: [1 / 255, 1 / 255, 1 / 255],
  } satisfies Detector['input'];
  const classifierModel = {
    ...common,
    name: 'tiny-liveness',
    model: 'tiny-liveness',
    task: 'classify' as const,
    file: 'tiny-liveness.onnx',
    input,
    views: [{ scale: 1, fill: 'zero' as const }],
    average: 'logits' as const,
    resize: 'bilinear' as const,
    output: { name: 'output', values: 'probabilities' as const, classes: tinyClasses },
    weight: 1,
    platt: { slope: 1, intercept: 0 },
    ...classifier?.entry,
    bytes: encodeTiny(classifier?.nodes ?? [meanOfColors('output')]),
  };
  const detectorModel = {
    ...common,
    name: 'tiny-detect',
    task: 'detect' as const,
    file: 'tiny-detect.onnx',
    input,
    output: { scores: 'output', boxes: 'boxes' },
    ...detector?.entry,
    bytes: encodeTiny(detector?.nodes ?? oneFace, ['boxes']),
  };
  return {
    detector: detectorModel,
    classifiers: [classifierModel],
    facts: { profile: 'default', models: [], cutPoints: tinyCutPoints },
  };
}

/** The means of red, green and blue. */
const tinyClasses: Classifier['output']['classes'] = ['live', 'spoof', 'spoof'];
const tinyCutPoints = { moderate: 0.4, high: 0.7 };

/** Writes the models into a folder like that of `npm run models`. The caller removes the folder. */
export async function writeTinyModels(given: TinyPipeline): Promise<string> {
  const modelsDir = await mkdtemp(join(tmpdir(), 'livegate-tiny-'));
  const profile = await writeTinyProfile(modelsDir, { given, prefix: 'tiny' });
  await writeTinyCatalogue(modelsDir, { default: profile });
  return modelsDir;
}

export type TinyProfile = Pick<Catalogue, 'models'> & { profile: Catalogue['profiles'][string] };

/** Writes the files of models whose names begin with the prefix; returns what describes them. */
export async function writeTinyProfile(
  modelsDir: string,
  { given, prefix }: { given: TinyPipeline; prefix: string },
): Promise<TinyProfile> {
  const { detector, classifiers } = tinyModels(given);
  const write = async <Model extends { bytes: Uint8Array }>(model: Model, file: string) => {
    const { bytes, ...described } = model;
    await writeFile(join(modelsDir, file), bytes);
    return { ...described, file, sha256: createHash('sha256').update(bytes).digest('hex') };
  };
  const { name: _, ...detect } = await write(detector, `${prefix}-detect.onnx`);
  const classify = await write(classifiers[0]!, `${prefix}-liveness.onnx`);
  const { name: __, model: ___, views, average, platt, weight, ...entry } = classify;
  return {
    models: { [`${prefix}-detect`]: detect, [`${prefix}-liveness`]: entry },
    profile: {
      summary: 'Tiny models.',
      detector: `${prefix}-detect`,
      classifiers: [{ model: `${prefix}-liveness`, views, average, platt, weight }],
      cut_points: { soft: tinyCutPoints, regular: tinyCutPoints, hardened: tinyCutPoints },
    },
  };
}

/** Writes the catalogue of these profiles. */
export async function writeTinyCatalogue(
  modelsDir: string,
  profiles: Record<string, TinyProfile>,
): Promise<void> {
  const named = Object.entries(profiles).map(([name, { profile }]) => [name, profile]);
  const models = Object.assign({}, ...Object.values(profiles).map((each) => each.models)) as object;
  const catalogue = { format: 'livegate-catalogue/1', models, profiles: Object.fromEntries(named) };
  await writeFile(join(modelsDir, CATALOGUE_FILE), JSON.stringify(catalogue));
}

export function meanOfColors(output: string): TinyNode {
  return { type: 'ReduceMean', inputs: ['input'], output, axes: [2, 3] };
}

/** [batch, 4, 4], all zeros. */
const zeros: TinyNode[] = [
  { type: 'ReduceMean', inputs: ['input'], output: 'means', axes: [1] },
  { type: 'Sub', inputs: ['means', 'means'], output: 'zeros' },
];

/** The first of four anchors reports a face in the middle of the image. */
export const oneFace: TinyNode[] = [
  ...zeros,
  { type: 'Add', inputs: ['zeros', 'middle'], output: 'boxes' },
  { type: 'MatMul', inputs: ['zeros', 'none'], output: 'nothing' },
  { type: 'Add', inputs: ['nothing', 'first'], output: 'output' },
];

const tensors: Record<string, TinyTensor> = {
  middle: { dims: [4, 4], values: Array.from({ length: 4 }, () => [0.3, 0.2, 0.7, 0.8]).flat() },
  none: { dims: [4, 2], values: Array.from({ length: 8 }, () => 0) },
  first: { dims: [4, 2], values: [0, 1, 0, 0, 0, 0, 0, 0] },
  sum: { dims: [3, 1], values: [1, 1, 1] },
  zero: { dims: [1], values: [0] },
  ten: { dims: [1], values: [10] },
};

function encodeTiny(nodes: TinyNode[], moreOutputs: string[] = []): Uint8Array {
  const used = Object.entries(tensors).filter(([name]) =>
    nodes.some(({ inputs }) => inputs.includes(name)),
  );
  return encodeGraph(tinyGraph(nodes, Object.fromEntries(used), { moreOutputs }));
}
