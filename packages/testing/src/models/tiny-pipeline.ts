import { createHash } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadedModels } from '../../../../apps/worker/src/models/load-models.js';
import {
  MANIFEST_FILE,
  type ModelManifest,
} from '../../../../apps/worker/src/models/model-manifest.js';
import { encodeGraph, TINY_SIZE, tinyGraph, type TinyNode, type TinyTensor } from './tiny-model.js';

export interface TinyPipeline {
  /** Outputs `boxes` [batch, 4, 4] and, as `output`, the scores [batch, 4, 2]. */
  detector?: { nodes?: TinyNode[]; manifest?: Partial<ModelManifest['detector']> };
  /** Outputs `output` [batch, 3]: the mean of each color, 0..1. */
  classifier?: {
    nodes?: TinyNode[];
    manifest?: Partial<ModelManifest['classifiers'][number]>;
  };
}

/** Models that find one face in every image and use its share of red as P(live). */
export function tinyModels({ detector, classifier }: TinyPipeline = {}): LoadedModels {
  const common = { version: '1', licence: 'none', sha256: '' };
  const input = {
    name: 'input',
    width: TINY_SIZE,
    height: TINY_SIZE,
    channels: 'RGB',
    subtract: [0, 0, 0],
    multiply: [1 / 255, 1 / 255, 1 / 255],
  } satisfies ModelManifest['detector']['input'];
  const classifierModel = {
    ...common,
    name: 'tiny-liveness',
    file: 'tiny-liveness.onnx',
    input,
    views: [{ scale: 1, fill: 'zero' as const }],
    average: 'logits' as const,
    resize: 'bilinear' as const,
    output: { name: 'output', values: 'probabilities' as const, liveClass: 0 },
    weight: 1,
    calibration: { slope: 1, intercept: 0 },
    ...classifier?.manifest,
    bytes: encodeTiny(classifier?.nodes ?? [meanOfColors('output')]),
  };
  const detectorModel = {
    ...common,
    name: 'tiny-detect',
    file: 'tiny-detect.onnx',
    input,
    output: { scores: 'output', boxes: 'boxes' },
    ...detector?.manifest,
    bytes: encodeTiny(detector?.nodes ?? oneFace, ['boxes']),
  };
  return { detector: detectorModel, classifiers: [classifierModel], facts: [] };
}

/** Writes the models into a folder like that of `npm run models`. The caller removes the folder. */
export async function writeTinyModels(given: TinyPipeline): Promise<string> {
  const modelsDir = await mkdtemp(join(tmpdir(), 'livegate-tiny-'));
  const { detector, classifiers } = tinyModels(given);
  const write = async <Model extends { file: string; bytes: Uint8Array }>(model: Model) => {
    const { bytes, ...described } = model;
    await writeFile(join(modelsDir, model.file), bytes);
    return { ...described, sha256: createHash('sha256').update(bytes).digest('hex') };
  };
  const manifest = {
    detector: await write(detector),
    classifiers: await Promise.all(classifiers.map(write)),
  };
  await writeFile(join(modelsDir, MANIFEST_FILE), JSON.stringify(manifest));
  return modelsDir;
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
