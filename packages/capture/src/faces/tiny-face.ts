import type { FaceBox } from './judge-faces.js';

/** The files of the model, as `@vladmandic/face-api` ships them: weights of 8 bits, each tensor scaled. */
export interface TinyFaceManifest {
  weights: { name: string; shape: number[]; quantization: { scale: number; min: number } }[];
}

/** Square, row by row, all channels of a pixel together. */
interface Plane {
  data: Float32Array;
  size: number;
  channels: number;
}

/** The mean color of the model's training pictures, and its anchors in cells. */
const MEAN_RGB = [117.001, 114.697, 97.404];
const ANCHORS = [
  [1.603231, 2.094468],
  [6.041143, 7.080126],
  [2.882459, 3.518061],
  [4.266906, 5.178857],
  [9.041765, 10.66308],
] as const;
const MIN_SCORE = 0.35;
const MAX_OVERLAP = 0.4;

/**
 * The "tiny face detector" of face-api, a YOLO v2 with separable convolutions: 27 million multiplications
 * for a canvas of 160 pixels. The returned function searches the pixels of a square canvas, whose unused
 * part is black, and its boxes are in pixels of that canvas.
 */
export function createTinyFace(manifest: TinyFaceManifest, bytes: Uint8Array) {
  const weights = readWeights(manifest, bytes);
  const weightsOf = (name: string) => weights.get(name)!;

  return function findFaces(rgba: Uint8ClampedArray, size: number): FaceBox[] {
    const input = normalize(rgba, size);
    const first = convolve(input, weightsOf('conv0/filters'), weightsOf('conv0/bias'));
    let plane = pool(activate(first), 2);
    for (let layer = 1; layer <= 5; layer += 1) {
      const depthwise = filterEachChannel(plane, weightsOf(`conv${layer}/depthwise_filter`));
      const [filter, bias] = ['pointwise_filter', 'bias'].map((n) =>
        weightsOf(`conv${layer}/${n}`),
      );
      plane = pool(activate(mixChannels(depthwise, filter!, bias!)), layer < 5 ? 2 : 1);
    }
    const cells = mixChannels(plane, weightsOf('conv8/filters'), weightsOf('conv8/bias'));
    return suppressOverlaps(readBoxes(cells, size));
  };
}

function readWeights({ weights }: TinyFaceManifest, bytes: Uint8Array): Map<string, Float32Array> {
  const tensors = new Map<string, Float32Array>();
  let at = 0;
  for (const { name, shape, quantization } of weights) {
    const length = shape.reduce((product, n) => product * n, 1);
    const { scale, min } = quantization;
    tensors.set(
      name,
      Float32Array.from(bytes.subarray(at, at + length), (n) => n * scale + min),
    );
    at += length;
  }
  if (at !== bytes.length) throw new Error('the weights do not fit their manifest');
  return tensors;
}

function normalize(rgba: Uint8ClampedArray, size: number): Plane {
  const data = new Float32Array(size * size * 3);
  for (let i = 0; i < size * size; i += 1) {
    for (let c = 0; c < 3; c += 1) data[3 * i + c] = (rgba[4 * i + c]! - MEAN_RGB[c]!) / 255;
  }
  return { data, size, channels: 3 };
}

/** 3x3 without padding, over all channels. */
function convolve(
  { data, size, channels }: Plane,
  filters: Float32Array,
  bias: Float32Array,
): Plane {
  const out = createPlane(size - 2, bias.length);
  const add = createAdd(out, filters);
  for (let at = 0, pixel = 0; pixel < out.size ** 2; pixel += 1, at += bias.length) {
    out.data.set(bias, at);
    const corner = Math.floor(pixel / out.size) * size + (pixel % out.size);
    for (let n = 0; n < 9 * channels; n += 1) {
      const [tap, channel] = [Math.floor(n / channels), n % channels];
      const from = corner + Math.floor(tap / 3) * size + (tap % 3);
      add(at, n * bias.length, data[from * channels + channel]!);
    }
  }
  return out;
}

/** A 1x1 convolution. */
function mixChannels({ data, size, channels }: Plane, filter: Float32Array, bias: Float32Array) {
  const out = createPlane(size, bias.length);
  const add = createAdd(out, filter);
  for (let at = 0, pixel = 0; pixel < size * size; pixel += 1, at += bias.length) {
    out.data.set(bias, at);
    for (let c = 0; c < channels; c += 1) add(at, c * bias.length, data[pixel * channels + c]!);
  }
  return out;
}

/** Adds one number of the input, times its row of weights, to all channels of the pixel at `at`. */
function createAdd({ data, channels }: Plane, weights: Float32Array) {
  return (at: number, row: number, value: number): void => {
    for (let o = 0; o < channels; o += 1) data[at + o]! += value * weights[row + o]!;
  };
}

/** 3x3 with a border of zeros, each channel by itself. */
function filterEachChannel({ data, size, channels }: Plane, filter: Float32Array): Plane {
  const out = createPlane(size, channels);
  const add = (pixel: number, from: number, tap: number): void => {
    for (let c = 0; c < channels; c += 1) {
      out.data[pixel * channels + c]! += data[from * channels + c]! * filter[tap * channels + c]!;
    }
  };
  for (let pixel = 0; pixel < size * size; pixel += 1) {
    const [y, x] = [Math.floor(pixel / size) - 1, (pixel % size) - 1];
    for (let tap = 0; tap < 9; tap += 1) {
      const [fromY, fromX] = [y + Math.floor(tap / 3), x + (tap % 3)];
      const isInside = Math.min(fromX, fromY) >= 0 && Math.max(fromX, fromY) < size;
      if (isInside) add(pixel, fromY * size + fromX, tap);
    }
  }
  return out;
}

function activate(plane: Plane): Plane {
  const { data } = plane;
  for (let i = 0; i < data.length; i += 1) if (data[i]! < 0) data[i]! *= 0.1;
  return plane;
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

function createPlane(size: number, channels: number): Plane {
  return { data: new Float32Array(size * size * channels), size, channels };
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
