import type { FaceBox } from './judge-faces.js';
import {
  activate,
  convolve,
  createPlane,
  filterEachChannel,
  mixChannels,
  type ModelManifest,
  normalize,
  type Plane,
  readWeights,
} from './layers.js';

/** The mean color of the model's training pictures, and its anchors in cells. */
const MEAN_RGB = [117.001, 114.697, 97.404];
const ANCHORS = [
  [1.603231, 2.094468],
  [6.041143, 7.080126],
  [2.882459, 3.518061],
  [4.266906, 5.178857],
  [9.041765, 10.66308],
] as const;
/** Of the activation for negative numbers. */
const SLOPE = 0.1;
const MIN_SCORE = 0.35;
const MAX_OVERLAP = 0.4;

/**
 * The "tiny face detector" of face-api, a YOLO v2 with separable convolutions: 27 million multiplications
 * for a canvas of 160 pixels. The returned function searches the pixels of a square canvas, whose unused
 * part is black, and its boxes are in pixels of that canvas.
 */
export function createTinyFace(manifest: ModelManifest, bytes: Uint8Array) {
  const weightsOf = readWeights(manifest, bytes);

  return function findFaces(rgba: Uint8ClampedArray, size: number): FaceBox[] {
    const [filters, bias] = [weightsOf('conv0/filters'), weightsOf('conv0/bias')];
    const input = normalize(rgba, size, MEAN_RGB);
    let plane = pool(activate(convolve(input, { filters, bias, stride: 1 }), SLOPE), 2);
    for (let layer = 1; layer <= 5; layer += 1) {
      const depthwise = filterEachChannel(plane, weightsOf(`conv${layer}/depthwise_filter`));
      const [filter, offsets] = ['pointwise_filter', 'bias'].map((name) =>
        weightsOf(`conv${layer}/${name}`),
      );
      const mixed = activate(mixChannels(depthwise, filter!, offsets!), SLOPE);
      plane = pool(mixed, layer < 5 ? 2 : 1);
    }
    const cells = mixChannels(plane, weightsOf('conv8/filters'), weightsOf('conv8/bias'));
    return suppressOverlaps(readBoxes(cells, size));
  };
}

/** The maximum of each 2x2 square; squares at the right and lower edge may be cut. */
function pool({ data, size, channels }: Plane, stride: 1 | 2): Plane {
  const out = createPlane(Math.ceil(size / stride), channels);
  for (let y = 0; y < out.size; y += 1) {
    for (let x = 0; x < out.size; x += 1) {
      const [right, below] = [stride * x + 1 < size ? 1 : 0, stride * y + 1 < size ? size : 0];
      const corner = stride * y * size + stride * x;
      const corners = [corner, corner + right, corner + below, corner + below + right];
      const [a, b, c, d] = corners.map((pixel) => pixel * channels) as [
        number,
        number,
        number,
        number,
      ];
      const at = (y * out.size + x) * channels;
      for (let n = 0; n < channels; n += 1) {
        out.data[at + n] = Math.max(data[a + n]!, data[b + n]!, data[c + n]!, data[d + n]!);
      }
    }
  }
  return out;
}

interface ScoredBox extends FaceBox {
  score: number;
}

/** Each cell has five numbers for each anchor: place, size and score of a face. */
function readBoxes({ data, size, channels }: Plane, canvas: number): ScoredBox[] {
  const boxes: ScoredBox[] = [];
  const cell = canvas / size;
  for (let i = 0; i < size * size * ANCHORS.length; i += 1) {
    const [pixel, anchor] = [Math.floor(i / ANCHORS.length), i % ANCHORS.length];
    const at = pixel * channels + 5 * anchor;
    const score = sigmoid(data[at + 4]!);
    if (score < MIN_SCORE) continue;
    const width = Math.exp(data[at + 2]!) * ANCHORS[anchor]![0] * cell;
    const height = Math.exp(data[at + 3]!) * ANCHORS[anchor]![1] * cell;
    const centerX = ((pixel % size) + sigmoid(data[at]!)) * cell;
    const centerY = (Math.floor(pixel / size) + sigmoid(data[at + 1]!)) * cell;
    boxes.push({ x: centerX - width / 2, y: centerY - height / 2, width, height, score });
  }
  return boxes.sort((a, b) => b.score - a.score);
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** Of boxes of one face, the one with the highest score; they come in this order. */
function suppressOverlaps(boxes: ScoredBox[]): FaceBox[] {
  const kept: ScoredBox[] = [];
  for (const box of boxes)
    if (kept.every((other) => overlap(other, box) < MAX_OVERLAP)) kept.push(box);
  return kept;
}

/** Intersection over union. */
function overlap(a: FaceBox, b: FaceBox): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  const shared = Math.max(width, 0) * Math.max(height, 0);
  return shared / (a.width * a.height + b.width * b.height - shared);
}
