import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  type Catalogue,
  type CatalogueText,
  OWN_FILE,
  parseCatalogue,
} from '@livegate/worker/models/catalogue';
import { sigmoid } from '@livegate/worker/inference/score-faces';
import { loadModels, readOwn } from '@livegate/worker/models/load-models';
import { type ModelSession, openSession } from '@livegate/worker/models/open-session';
import { proposeCutPoints } from '../evaluate/statistics/cut-points.js';
import { measure } from '../evaluate/statistics/measures.js';
import { rank } from '../evaluate/statistics/score-curve.js';
import { hash } from './fetch-published-files.js';
import { type InspectedModel, inspectModel } from './inspect-model.js';
import { type PreparedFile, prepareFile } from './prepare-file.js';
import { type Say, writeAtomically } from './prepare-models.js';
import { findPreprocessing, type FoundPreprocessing } from './preprocessing/find-preprocessing.js';
import {
  cpu,
  createLogitsOf,
  type FaceInFile,
  findFaces,
  listImages,
  type ModelOutput,
  toInput,
} from './preprocessing/labelled-faces.js';
import {
  describeViews,
  type Known,
  type LabelledFace,
  writeKnown,
} from './preprocessing/preprocessing.js';

export interface AddOptions {
  modelsDir: string;
  /** A folder with SOURCE/bona-fide and SOURCE/attack. */
  images: string;
  name: string;
  licence: string;
  trainingData: string;
  /** Most images that are tried. */
  maxImages: number;
  known: Known;
  /** Width and height of the input, for a file that leaves them variable. */
  size?: number | undefined;
  /** Today, as in 2026-01-31. */
  date: string;
  say: Say;
}

export interface AddedModel {
  /** For `own.json`: the model, and a profile of the same name that uses it alone. */
  entry: Pick<Catalogue, 'models' | 'profiles'>;
  /** Of the prepared file. */
  bytes: Uint8Array;
}

/**
 * Describes a classifier that little is known about: inspects the file, makes it fast, and finds its
 * preprocessing on labelled images. Throws an Error with the reasons why it does not fit.
 */
export async function describeFile(path: string, options: AddOptions): Promise<AddedModel> {
  const { modelsDir, name, known, say } = options;
  const published = await readFile(path);
  const inspected = inspectModel(published, options);
  const { width, height } = inspected.input;
  say(`${basename(path)}: input [batch, 3, ${height}, ${width}], opset ${inspected.opset}`);
  const input = toInput(inspected.input, { channels: 'RGB', range: '0..255' });
  const prepared = await prepareFile(published, { name, input });
  say(describePrepared(prepared));
  const session = await openSession({ name, input, bytes: prepared.bytes }, cpu);
  try {
    const output = await findOutput(session, inspected);
    say(`output "${output.name}": ${output.classes} classes of ${output.values}`);
    const { detector } = await loadModels(modelsDir);
    const images = await listImages(options.images, options.maxImages);
    const faces = await findFaces(images, detector);
    say(`trying it on ${faces.length} faces, one in each of ${images.length} images …`);
    const logitsOf = createLogitsOf({ session, input: inspected.input, output }, faces, known);
    const found = await findPreprocessing(faces, { classes: output.classes, known }, logitsOf);
    say(found.evidence);
    const facts = { inspected, prepared, output, faces, sha256: hash(published) };
    return { entry: describeEntry(found, facts, options), bytes: prepared.bytes };
  } finally {
    await session.close();
  }
}

function describePrepared({ isRewritten, deviation, ms }: PreparedFile): string {
  const how = isRewritten ? 'rewritten' : 'batch size made variable, no faster form found';
  const times = `${ms.published.toFixed(1)} ms an image before, ${ms.prepared.toFixed(1)} ms after`;
  return `${how}: outputs differ by ${deviation.toExponential(1)} of the largest, ${times}`;
}

/** More classes than any liveness model has: such an output is a feature vector. */
const MAX_CLASSES = 16;

/** The output [batch, classes]. Probabilities are recognized by their sum, which is 1. */
async function findOutput(session: ModelSession, { input, outputs }: InspectedModel) {
  const size = 3 * input.width * input.height;
  const batch = Float32Array.from({ length: 2 * size }, (_, i) => (i < size ? 40 : i % 251));
  const ran = await session.run(batch);
  const found = outputs.flatMap((name): ModelOutput[] => {
    const { shape, values } = ran[name]!;
    const [images, classes = 0] = shape;
    if (shape.length !== 2 || images !== 2 || classes > MAX_CLASSES) return [];
    const rows = [values.slice(0, classes), values.slice(classes)];
    return [{ name, classes, values: rows.every(isDistribution) ? 'probabilities' : 'logits' }];
  });
  const [output] = found;
  if (!output || found.length > 1) {
    const shapes = Object.entries(ran).map(
      ([name, { shape }]) => `"${name}" [${shape.join(', ')}]`,
    );
    throw new Error(
      `the model does not fit: it needs exactly one output [batch, classes] of at most ` +
        `${MAX_CLASSES} classes, its outputs for two images are: ${shapes.join(', ')}`,
    );
  }
  if (output.classes > 1 || output.values === 'probabilities') return output;
  throw new Error('the model does not fit: its output is a single logit, export two classes');
}

function isDistribution(row: Float32Array): boolean {
  const sum = row.reduce((a, b) => a + b, 0);
  const isSingle = row.length === 1;
  return row.every((p) => p >= 0 && p <= 1) && (isSingle || Math.abs(sum - 1) < 1e-3);
}

interface ModelFound {
  inspected: InspectedModel;
  prepared: PreparedFile;
  output: ModelOutput;
  faces: FaceInFile[];
  /** Of the published file. */
  sha256: string;
}

function describeEntry(
  { best, logits }: FoundPreprocessing,
  { inspected, prepared, output, faces, sha256 }: ModelFound,
  { name, licence, trainingData, date, images, known }: AddOptions,
): AddedModel['entry'] {
  const { rates, cutPoints } = measureScores(faces, logits);
  const attacks = faces.filter(({ isAttack }) => isAttack).length;
  const figures = {
    date,
    data:
      `${attacks} attacks and ${faces.length - attacks} bona fide faces of ${basename(images)}, on which the ` +
      'preprocessing was chosen too: optimistic.',
    command: `npm run models -- add ${basename(name)}.onnx --images ${basename(images)}${writeKnown(known)}`,
    rates: { all: rates },
  };
  const classes = Array.from({ length: output.classes }, (_, i) =>
    i === best.liveClass ? ('live' as const) : ('spoof' as const),
  );
  const model: Catalogue['models'][string] = {
    task: 'classify',
    version: sha256.slice(0, 8),
    licence,
    training_data: trainingData,
    source: { type: 'added', date, sha256 },
    file: `${name}.onnx`,
    sha256: hash(prepared.bytes),
    input: toInput(inspected.input, best),
    resize: best.resize,
    output: { name: output.name, values: output.values, classes },
    figures,
  };
  const member = {
    model: name,
    views: best.views,
    average: 'logits' as const,
    platt: { slope: 1, intercept: 0 },
    weight: 1,
  };
  const profile: Catalogue['profiles'][string] = {
    summary: `${name} alone, views ${describeViews(best.views)}. Its score is not calibrated.`,
    detector: 'fr-detect',
    classifiers: [member],
    cut_points: cutPoints,
    figures,
  };
  return { models: { [name]: model }, profiles: { [name]: profile } };
}

/** BPCER at HIGH by the regular cut points, as of `npm run calibrate`. */
const TARGET_BPCER = 0.05;

/** Error rates and cut points of the uncalibrated scores, on the images of the search: optimistic. */
export function measureScores(faces: LabelledFace[], logits: number[]) {
  const ranked = rank(
    faces.map(({ source, isAttack }, i) => ({
      label: isAttack ? 'attack' : 'bona-fide',
      species: 'unspecified',
      source,
      score: sigmoid(logits[i]!),
    })),
  );
  const cutPoints = proposeCutPoints(ranked, TARGET_BPCER);
  const { auc, eer, apcer_at_bpcer_5 } = measure(ranked, cutPoints.regular);
  const round = (value: number) => Math.round(1000 * value) / 1000;
  return {
    rates: {
      auc: round(auc),
      eer: round(eer),
      apcer_at_bpcer_5: round(apcer_at_bpcer_5),
    },
    cutPoints,
  };
}

/** Before the trials, which take minutes. */
export async function requireFreeName(name: string): Promise<void> {
  if (!/^[\w.-]+$/.test(name)) {
    throw new Error(`--name "${name}" may have letters, digits, ".", "_" and "-" only`);
  }
  const { models, profiles } = parseCatalogue(await readShippedText());
  if (!Object.hasOwn(models, name) && !Object.hasOwn(profiles, name)) return;
  throw new Error(`the catalogue of Livegate has ${name} already: choose another --name`);
}

/** Replaces an entry of the same name, so that a model can be tried again. */
export async function addToOwn(modelsDir: string, entry: AddedModel['entry']): Promise<void> {
  const path = join(modelsDir, OWN_FILE);
  const own = JSON.parse((await readOwn(modelsDir))?.text ?? '{}') as Partial<Catalogue>;
  const text = JSON.stringify(
    {
      format: 'livegate-catalogue/1',
      models: { ...own.models, ...entry.models },
      profiles: { ...own.profiles, ...entry.profiles },
    },
    null,
    2,
  );
  parseCatalogue(await readShippedText(), { text, path });
  await writeAtomically(path, `${text}\n`);
}

async function readShippedText(): Promise<CatalogueText> {
  const path = 'models/catalogue.json';
  return { path, text: await readFile(path, 'utf8') };
}
