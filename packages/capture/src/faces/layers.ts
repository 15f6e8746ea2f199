/** Of a model as `@vladmandic/face-api` ships it: weights of 8 bits, each tensor scaled. */
export interface ModelManifest {
  weights: { name: string; shape: number[]; quantization: { scale: number; min: number } }[];
}

/** Square, row by row, all channels of a pixel together. */
export interface Plane {
  data: Float32Array;
  size: number;
  channels: number;
}

/** The tensors of a model, by name. Fails if there is none of that name. */
export type WeightsOf = (name: string) => Float32Array;

export function readWeights({ weights }: ModelManifest, bytes: Uint8Array): WeightsOf {
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
  return (name) => tensors.get(name)!;
}

/** Subtracts the mean color of the pictures that the model was trained with. */
export function normalize(rgba: Uint8ClampedArray, size: number, meanRgb: number[]): Plane {
  const plane = createPlane(size, 3);
  for (let i = 0; i < size * size; i += 1) {
    for (let c = 0; c < 3; c += 1) plane.data[3 * i + c] = (rgba[4 * i + c]! - meanRgb[c]!) / 255;
  }
  return plane;
}

/**
 * 3x3, over all channels. With a stride of 1 without a border; with a stride of 2, of an even size, with
 * a border of zeros on the right and below, as TensorFlow does.
 */
export function convolve(
  { data, size, channels }: Plane,
  { filters, bias, stride }: { filters: Float32Array; bias: Float32Array; stride: 1 | 2 },
): Plane {
  const outSize = stride === 1 ? size - 2 : size / 2;
  // Each pixel with its neighbors, as the channels of one pixel.
  const around = createPlane(outSize, 9 * channels);
  for (let at = 0, pixel = 0; pixel < outSize ** 2; pixel += 1) {
    const [y, x] = [stride * Math.floor(pixel / outSize), stride * (pixel % outSize)];
    for (let tap = 0; tap < 9; tap += 1, at += channels) {
      const [fromY, fromX] = [y + Math.floor(tap / 3), x + (tap % 3)];
      if (fromX >= size || fromY >= size) continue;
      const from = (fromY * size + fromX) * channels;
      for (let c = 0; c < channels; c += 1) around.data[at + c] = data[from + c]!;
    }
  }
  return mixChannels(around, filters, bias);
}

/** A 1x1 convolution. Four input channels at a time, which takes half the time. */
export function mixChannels(plane: Plane, filter: Float32Array, bias: Float32Array): Plane {
  const { data, size, channels } = plane;
  const out = createPlane(size, bias.length);
  const sums = out.data;
  const n = bias.length;
  for (let at = 0, from = 0; at < sums.length; at += n, from += channels) {
    sums.set(bias, at);
    let c = 0;
    for (; c + 3 < channels; c += 4) {
      const [a, b, d, e] = [
        data[from + c]!,
        data[from + c + 1]!,
        data[from + c + 2]!,
        data[from + c + 3]!,
      ];
      for (let o = 0, w = c * n; o < n; o += 1, w += 1) {
        sums[at + o]! +=
          a * filter[w]! + b * filter[w + n]! + d * filter[w + 2 * n]! + e * filter[w + 3 * n]!;
      }
    }
    for (; c < channels; c += 1) {
      for (let o = 0; o < n; o += 1) sums[at + o]! += data[from + c]! * filter[c * n + o]!;
    }
  }
  return out;
}

/** 3x3 with a border of zeros, each channel by itself. With a stride of 2, the border is as in `convolve`. */
export function filterEachChannel(
  { data, size, channels }: Plane,
  filter: Float32Array,
  stride: 1 | 2 = 1,
): Plane {
  const out = createPlane(size / stride, channels);
  const border = stride === 1 ? 1 : 0;
  const add = (pixel: number, from: number, tap: number): void => {
    for (let c = 0; c < channels; c += 1) {
      out.data[pixel * channels + c]! += data[from * channels + c]! * filter[tap * channels + c]!;
    }
  };
  for (let pixel = 0; pixel < out.size ** 2; pixel += 1) {
    const y = stride * Math.floor(pixel / out.size) - border;
    const x = stride * (pixel % out.size) - border;
    for (let tap = 0; tap < 9; tap += 1) {
      const [fromY, fromX] = [y + Math.floor(tap / 3), x + (tap % 3)];
      const isInside = Math.min(fromX, fromY) >= 0 && Math.max(fromX, fromY) < size;
      if (isInside) add(pixel, fromY * size + fromX, tap);
    }
  }
  return out;
}

/** Multiplies negative numbers by the slope. */
export function activate(plane: Plane, slope: number): Plane {
  const { data } = plane;
  for (let i = 0; i < data.length; i += 1) if (data[i]! < 0) data[i]! *= slope;
  return plane;
}

export function createPlane(size: number, channels: number): Plane {
  return { data: new Float32Array(size * size * channels), size, channels };
}
