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

/** Shares of the side of the square that was searched. */
export interface Point {
  x: number;
  y: number;
}

/** The model looks at a square canvas of this side. */
export const POINTS_SIDE = 112;
/** The mean color of the model's training pictures. */
const MEAN_RGB = [122.782, 117.001, 104.298];

/**
 * The "68 point face landmark detector, tiny" of face-api: three blocks of separable convolutions, 28
 * million multiplications. The returned function searches the pixels of a canvas that one face fills; the
 * 68 points have the order of the data set iBUG 300-W.
 */
export function createFacePoints(manifest: ModelManifest, bytes: Uint8Array) {
  const weightsOf = readWeights(manifest, bytes);

  const separable = (plane: Plane, name: string, stride: 1 | 2): Plane =>
    mixChannels(
      filterEachChannel(plane, weightsOf(`${name}/depthwise_filter`), stride),
      weightsOf(`${name}/pointwise_filter`),
      weightsOf(`${name}/bias`),
    );

  /** Two convolutions whose inputs are added to their outputs. */
  const block = (first: Plane, name: string): Plane => {
    const second = separable(activate(first, 0), `${name}/conv1`, 1);
    const third = separable(activate(sum(first, second), 0), `${name}/conv2`, 1);
    return activate(sum(first, second, third), 0);
  };

  return function findPoints(rgba: Uint8ClampedArray): Point[] {
    const [filters, bias] = [weightsOf('dense0/conv0/filters'), weightsOf('dense0/conv0/bias')];
    const input = normalize(rgba, POINTS_SIDE, MEAN_RGB);
    let plane = block(convolve(input, { filters, bias, stride: 2 }), 'dense0');
    for (const name of ['dense1', 'dense2']) {
      plane = block(separable(plane, `${name}/conv0`, 2), name);
    }
    const { data } = mixChannels(average(plane), weightsOf('fc/weights'), weightsOf('fc/bias'));
    return Array.from({ length: data.length / 2 }, (_, n) => ({
      x: data[2 * n]!,
      y: data[2 * n + 1]!,
    }));
  };
}

function sum(...planes: Plane[]): Plane {
  const [{ size, channels }] = planes as [Plane];
  const out = createPlane(size, channels);
  for (const { data } of planes) data.forEach((value, at) => (out.data[at]! += value));
  return out;
}

/** Of all pixels, one for each channel. */
function average({ data, size, channels }: Plane): Plane {
  const out = createPlane(1, channels);
  data.forEach((value, at) => (out.data[at % channels]! += value / size ** 2));
  return out;
}
