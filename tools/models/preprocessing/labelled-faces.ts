import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectHeader, LivegateError } from '@livegate/core/domain';
import { cropView, squareAround } from '@livegate/worker/inference/crop-view';
import { createDecodeImage } from '@livegate/worker/inference/decode/decode-image';
import { detectFaces } from '@livegate/worker/inference/detect-faces';
import {
  allocateBatch,
  type Box,
  type Picture,
  type Size,
} from '@livegate/worker/inference/picture';
import { chooseFace } from '@livegate/worker/inference/pipeline';
import type { Detector, ModelInput, View } from '@livegate/worker/models/catalogue';
import type { Loaded } from '@livegate/worker/models/load-models';
import { type ModelSession, openSession } from '@livegate/worker/models/open-session';
import { readSamples } from '../../evaluate/read-samples.js';
import type { LogitsOf } from './find-preprocessing.js';
import {
  channelOrders,
  describeViews,
  type Known,
  type LabelledFace,
  type Preprocessing,
  type Range,
  ranges,
  usualViews,
  type Way,
} from './preprocessing.js';

export const cpu = { executionProvider: 'cpu', deviceId: 0, intraOpThreads: 1 } as const;
const decodeImage = createDecodeImage(1);
const MAX_PIXELS = 52_000_000;

export interface LabelledImage {
  path: string;
  source: string;
  isAttack: boolean;
}

/** The face is found once; the picture is decoded again when it is needed. */
export interface FaceInFile extends LabelledImage, LabelledFace {
  box: Box;
}

/** The share of a view that lies inside the picture, 0..1. */
function insideShare({ width, height }: Size, box: Box, scale: number): number {
  const { left, top, side } = squareAround(box, scale);
  const overlap = (start: number, end: number) => Math.min(start + side, end) - Math.max(start, 0);
  return (overlap(left, width) * overlap(top, height)) / side ** 2;
}

/** The labelled images of `npm run evaluate`: at most `max`, evenly from each source and label. */
export async function listImages(data: string, max: number): Promise<LabelledImage[]> {
  const { folder, samples } = await readSamples(data);
  const images = samples.flatMap(({ path, source, label }) =>
    label ? [{ path: join(folder, path), source, isAttack: label === 'attack' }] : [],
  );
  const groupOf = ({ source, isAttack }: LabelledImage) => `${source}/${isAttack}`;
  const groups = [...new Set(images.map(groupOf))];
  const share = Math.ceil(max / Math.max(groups.length, 1));
  return groups.flatMap((group) =>
    takeEvenly(
      images.filter((image) => groupOf(image) === group),
      share,
    ),
  );
}

function takeEvenly<Item>(items: Item[], count: number): Item[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
}

/** The images with exactly one face, by the rules of a worker. Throws an Error without both labels. */
export async function findFaces(
  images: LabelledImage[],
  detector: Loaded<Detector>,
): Promise<FaceInFile[]> {
  const session = await openSession(detector, cpu);
  const takeBatch = (count: number) => allocateBatch(detector.input, count);
  const faceDetector = { model: detector, session, takeBatch, scoreThreshold: 0.9 };
  const found: FaceInFile[] = [];
  try {
    for (const image of images) {
      const picture = await readPicture(image.path);
      const [faces] = picture ? await detectFaces(faceDetector, [picture]) : [[]];
      const choice = chooseFace(faces ?? [], 0.25);
      if (!picture || choice.kind !== 'one') continue;
      const { box } = choice;
      // Not the picture: its pixels would stay in memory.
      const size = { width: picture.width, height: picture.height };
      found.push({ ...image, box, insideOf: (scale) => insideShare(size, box, scale) });
    }
  } finally {
    await session.close();
  }
  const attacks = found.filter(({ isAttack }) => isAttack).length;
  if (attacks > 0 && attacks < found.length) return found;
  throw new Error(
    `${attacks} attacks and ${found.length - attacks} bona fide images have one face, and both ` +
      'are needed: the images must be in SOURCE/attack and SOURCE/bona-fide',
  );
}

/** Undefined for an image that a worker refuses. */
async function readPicture(path: string): Promise<Picture | undefined> {
  const bytes = await readFile(path);
  try {
    return await decodeImage(bytes, inspectHeader(bytes, MAX_PIXELS));
  } catch (error) {
    if (error instanceof LivegateError) return undefined;
    throw error;
  }
}

export interface ModelOutput {
  name: string;
  values: 'logits' | 'probabilities';
  classes: number;
}

export interface TriedModel {
  session: ModelSession;
  input: Pick<ModelInput, 'name' | 'width' | 'height'>;
  output: ModelOutput;
}

/** The model's input with this order of channels and range. */
export function toInput(
  input: TriedModel['input'],
  { channels, range }: Pick<Preprocessing, 'channels' | 'range'>,
): ModelInput {
  const { subtract, multiply } = ranges[range];
  const inOrder = (values: readonly number[]) =>
    (channels === 'RGB' ? values : values.toReversed()) as [number, number, number];
  return { ...input, channels, subtract: inOrder(subtract), multiply: inOrder(multiply) };
}

/** All ways to prepare one view with one resize run together, and once. */
export function createLogitsOf(model: TriedModel, faces: FaceInFile[], known: Known): LogitsOf {
  const runs = new Map<string, Promise<Map<string, Float32Array[]>>>();
  const shown = known.views ?? usualViews;
  return async ({ liveClass, ...way }, view) => {
    // The first resize is tried with all views, so that each image is decoded once for all of them.
    const views = way.resize === (known.resize ?? 'bilinear') ? shown : [view];
    const key = `${way.resize} ${describeViews(views)}`;
    if (!runs.has(key)) runs.set(key, runViews(model, faces, { views, resize: way.resize }));
    const rows = (await runs.get(key)!).get(keyOf(way, view))!;
    return rows.map((row) => toLogit(row, liveClass, model.output.values));
  };
}

function keyOf({ channels, range }: Pick<Way, 'channels' | 'range'>, view: View) {
  return `${channels} ${range} ${describeViews([view])}`;
}

const ways = channelOrders.flatMap((channels) =>
  (Object.keys(ranges) as Range[]).map((range) => ({ channels, range })),
);

/** For every way and view: the output row of each face. */
async function runViews(
  { session, input, output }: TriedModel,
  faces: FaceInFile[],
  { views, resize }: Pick<Preprocessing, 'views' | 'resize'>,
): Promise<Map<string, Float32Array[]>> {
  const rows = new Map<string, Float32Array[]>();
  for (const { path, box } of faces) {
    const picture = (await readPicture(path))!;
    for (const view of views) {
      const batch = new Float32Array(ways.length * 3 * input.width * input.height);
      for (const [i, way] of ways.entries()) {
        const { batch: one, images } = allocateBatch(toInput(input, way), 1);
        cropView(picture, { face: box, view, resize }, images[0]!);
        batch.set(one, i * one.length);
      }
      const { values } = (await session.run(batch))[output.name]!;
      for (const [i, way] of ways.entries()) {
        const row = values.slice(i * output.classes, (i + 1) * output.classes);
        const key = keyOf(way, view);
        rows.set(key, [...(rows.get(key) ?? []), row]);
      }
    }
  }
  return rows;
}

/** log(P(spoof) / P(live)). */
function toLogit(row: Float32Array, liveClass: number, values: ModelOutput['values']): number {
  const live = row[liveClass]!;
  if (values === 'probabilities') {
    const p = Math.min(Math.max(live, 1e-7), 1 - 1e-7);
    return Math.log((1 - p) / p);
  }
  const others = [...row].toSpliced(liveClass, 1);
  const largest = Math.max(...others);
  return largest + Math.log(others.reduce((sum, v) => sum + Math.exp(v - largest), 0)) - live;
}
