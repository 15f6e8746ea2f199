import { z } from 'zod';

/**
 * `manifest.json` of a models folder: one face detector, and the classifiers whose logits are
 * fused by weight. A model of your own is described here, without a code change.
 */
export type ModelManifest = z.infer<typeof manifestSchema>;
export type Detector = ModelManifest['detector'];
export type Classifier = ModelManifest['classifiers'][number];
export type ModelInput = Detector['input'];
export type View = Classifier['views'][number];
export type Fill = View['fill'];
export type Resize = Classifier['resize'];
export type Calibration = Classifier['calibration'];

export const MANIFEST_FILE = 'manifest.json';

/** Throws an Error that lists every problem; `origin` is the file's path for the message. */
export function parseManifest(text: string, origin: string): ModelManifest {
  const parsed = manifestSchema.safeParse(parseJson(text, origin));
  if (parsed.success) return parsed.data;
  throw new Error(`${origin} does not describe models:\n${z.prettifyError(parsed.error)}`);
}

function parseJson(text: string, origin: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${origin} is not JSON`, { cause });
  }
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits');
const fileName = z.string().regex(/^[\w.-]+\.onnx$/, 'expected the plain name of an .onnx file');

/** The npm package of the published file; absent for a file that was copied into the folder. */
const sourceSchema = z.strictObject({
  package: z.string(),
  version: z.string(),
  /** `dist.integrity` of the package in the registry. */
  integrity: z.string(),
  path: z.string(),
  md5: z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 hex digits'),
  sha256,
});

/** One number for all channels, or one for each channel in the model's order. */
const perChannel = z
  .union([z.number(), z.tuple([z.number(), z.number(), z.number()])])
  .transform((value): [number, number, number] =>
    typeof value === 'number' ? [value, value, value] : value,
  );

/** The input is float32 [batch, 3, height, width] with the values (pixel - subtract) * multiply. */
const inputSchema = z.strictObject({
  name: z.string(),
  width: z.int().positive(),
  height: z.int().positive(),
  channels: z.enum(['RGB', 'BGR']),
  subtract: perChannel,
  multiply: perChannel,
});

const modelShape = {
  name: z.string(),
  version: z.string(),
  licence: z.string(),
  file: fileName,
  /** Hex SHA-256 of `file` after the preparation. */
  sha256,
  source: sourceSchema.optional(),
  input: inputSchema,
};

/** scores [batch, anchors, 2], index 1 = face; boxes [batch, anchors, 4], x1 y1 x2 y2 in 0..1. */
const detectorSchema = z.strictObject({
  ...modelShape,
  output: z.strictObject({ scores: z.string(), boxes: z.string() }),
});

/**
 * A square with `scale` times the longer side of the face box; `fill` is used outside the picture.
 */
const viewSchema = z.strictObject({
  scale: z.number().positive(),
  fill: z.enum(['zero', 'reflect']),
});

const classifierSchema = z.strictObject({
  ...modelShape,
  views: z.array(viewSchema).min(1),
  /** What is averaged over the views. A mean of probabilities lets one saturated view outvote. */
  average: z.enum(['logits', 'probabilities']),
  /** How a view is resized to the input's size. */
  resize: z.enum(['bilinear', 'area']),
  /** Output [batch, classes]; P(spoof) = 1 - P(liveClass). */
  output: z.strictObject({
    name: z.string(),
    values: z.enum(['logits', 'probabilities']),
    liveClass: z.int().nonnegative(),
  }),
  /** Weight in the fusion, relative to the other classifiers; bounded so that none vanishes. */
  weight: z.number().min(1e-6).max(1e6),
  /** Platt scaling of the averaged logit: slope * logit + intercept; 1 and 0 change nothing. */
  calibration: z.strictObject({ slope: z.number().positive(), intercept: z.number() }),
});

const manifestSchema = z.strictObject({
  detector: detectorSchema,
  classifiers: z.array(classifierSchema).min(1),
});
