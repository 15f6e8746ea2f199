import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeModels, type ModelFacts, type ModelSetFacts } from '@livegate/core/domain';
import {
  type Calibration,
  chooseCutPoints,
  type CutPointChoice,
  type CutPointSets,
  describeCalibration,
  parseCalibrationFile,
} from './calibration.js';
import {
  type Catalogue,
  CATALOGUE_FILE,
  type CatalogueText,
  type Classifier,
  type Detector,
  findProfile,
  listModels,
  OWN_FILE,
  parseCatalogue,
  type Profile,
  type View,
} from './catalogue.js';

/** A model's description and its bytes, whose hash was checked. */
export type Loaded<Model> = Model & { bytes: Uint8Array };

/** The models of one profile, which judge an image together. */
export interface LoadedModels {
  detector: Loaded<Detector>;
  classifiers: Loaded<Classifier>[];
  calibration?: Calibration | undefined;
  facts: ModelSetFacts;
}

/** Settings that change what a profile says about its scores. */
export interface Tuning {
  /** Replaces the calibration and the cut points of the profile. */
  calibrationFile?: string | undefined;
  cutPoints: CutPointChoice;
}

/**
 * Reads the models of a profile from a prepared folder. Throws an Error that names the first missing
 * or changed file, or says why the calibration file does not fit.
 */
export async function loadModels(
  modelsDir: string,
  profileName = 'default',
  { calibrationFile, cutPoints }: Tuning = { cutPoints: { level: 'regular' } },
): Promise<LoadedModels> {
  const catalogue = await readCatalogue(modelsDir);
  const profile = findProfile(catalogue, profileName);
  const { detector, classifiers } = pickModels(catalogue, profile);
  const models = listFacts(catalogue, profile);
  const scoring: { calibration?: Calibration | undefined; cut_points: CutPointSets } =
    calibrationFile === undefined
      ? profile
      : await readCalibration(calibrationFile, { profile: profileName, models });
  return {
    detector: await loadModel(modelsDir, detector),
    classifiers: await Promise.all(classifiers.map((one) => loadModel(modelsDir, one))),
    calibration: scoring.calibration,
    facts: {
      profile: profileName,
      models,
      cutPoints: chooseCutPoints(scoring.cut_points, cutPoints),
      ...(scoring.calibration && { calibration: describeCalibration(scoring.calibration) }),
    },
  };
}

async function readCalibration(
  path: string,
  { profile, models }: { profile: string; models: ModelFacts[] },
) {
  const text = await readIfThere(path);
  if (text === undefined) throw new Error(`there is no calibration file ${path}`);
  const loaded = { profile, model: describeModels(models) };
  const calibration = parseCalibrationFile(text, { path, loaded });
  return { calibration, cut_points: calibration.cut_points };
}

/** The catalogue of a prepared folder, with the models and profiles that the site has added. */
export async function readCatalogue(modelsDir: string): Promise<Catalogue> {
  const path = join(modelsDir, CATALOGUE_FILE);
  const text = (await readModelFile(path)).toString('utf8');
  return parseCatalogue({ text, path }, await readOwn(modelsDir));
}

/** What the site has added; undefined when it has added nothing. */
export async function readOwn(modelsDir: string): Promise<CatalogueText | undefined> {
  const path = join(modelsDir, OWN_FILE);
  const text = await readIfThere(path);
  return text === undefined ? undefined : { text, path };
}

function pickModels({ models }: Catalogue, profile: Profile) {
  // The catalogue's schema has checked that each name is a model with this task.
  const detector = { name: profile.detector, ...models[profile.detector] } as Detector;
  const classifiers = profile.classifiers.map(
    (member) => ({ name: member.model, ...models[member.model], ...member }) as Classifier,
  );
  return { detector, classifiers };
}

function listFacts(catalogue: Catalogue, profile: Profile): ModelFacts[] {
  return listModels(catalogue, profile).map(({ name, version, sha256, task }) => ({
    name,
    version,
    sha256,
    task,
    ...(task === 'classify' && { views: listViews(profile, name) }),
  }));
}

/** A model that two classifiers use has the views of both. */
function listViews({ classifiers }: Profile, name: string): View[] {
  const all = classifiers.flatMap(({ model, views }) => (model === name ? views : []));
  const isSame = (a: View, b: View) => a.scale === b.scale && a.fill === b.fill;
  return all.filter((view, i) => all.findIndex((other) => isSame(other, view)) === i);
}

async function loadModel<Model extends Detector | Classifier>(
  modelsDir: string,
  model: Model,
): Promise<Loaded<Model>> {
  const path = join(modelsDir, model.file);
  const bytes = await readModelFile(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== model.sha256) {
    throw new Error(
      `${path} is not the file its catalogue describes (sha256 ${sha256}, expected ` +
        `${model.sha256}): run "npm run models" to fetch it again`,
    );
  }
  return { ...model, bytes };
}

async function readModelFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new Error(`cannot read ${path}: run "npm run models" to fetch it`, { cause });
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
