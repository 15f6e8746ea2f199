// npm run models -- COMMAND: what the worker's models are, and which of them are used.
// bootstrap.mjs has already installed and built, and changed to the repository's root.
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type Catalogue,
  findProfile,
  listModels,
  OWN_FILE,
  type Profile,
} from '@livegate/worker/models/catalogue';
import { readWorkerConfig, toRolloutSettings } from '@livegate/worker/config';
import { ROLLOUT_FILE } from '@livegate/worker/models/rollout';
import { formatTable } from '../format-table.js';
import { addToOwn, describeFile, requireFreeName } from './add-file.js';
import {
  findMissing,
  type NamedModel,
  prepareFiles,
  prepareModels,
  readProfile,
  readShipped,
  type Say,
  settings,
  writeAtomically,
} from './prepare-models.js';
import { readKnown } from './preprocessing/preprocessing.js';
import { requireOwnCalibration, useProfile } from './use-profile.js';

const USAGE = `npm run models -- COMMAND

  (none)          fetch and prepare the models of the active profile
  list            the profiles and models of the catalogue
  add NAME        fetch and prepare a model, or the models of a profile
  add FILE.onnx   inspect a model of yours, find its preprocessing, add it to own.json
                    --images DIR           labelled images: SOURCE/{bona-fide,attack}/…
                    --name NAME            default: the file's name
                    --licence TEXT         default: not stated
                    --training-data TEXT   default: not stated
                    --max-images N         default: 120
                    --size N               of an input whose size is variable
                    --views "2 reflect,…"  if known: the views, shown together
                    --resize METHOD        if known: bilinear or area
                    --dry-run              show the entry, add nothing
  use PROFILE     fetch what the profile needs, and make it the active one
                    --canary SHARE         only for this share of the checks; 0 ends it
                    --shadow SHARE         only judge this share once more; 0 ends it
  verify          compare every file with the hash in the catalogue`;

interface Context {
  modelsDir: string;
  say: Say;
}

const options = {
  images: { type: 'string' },
  name: { type: 'string' },
  licence: { type: 'string' },
  'training-data': { type: 'string' },
  'max-images': { type: 'string' },
  size: { type: 'string' },
  views: { type: 'string' },
  resize: { type: 'string' },
  canary: { type: 'string' },
  shadow: { type: 'string' },
  'dry-run': { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

interface Command extends Context {
  target?: string | undefined;
  values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
}

const commands = { list, add, use, verify };

await run({
  modelsDir: process.env['LIVEGATE_MODELS_DIR'] || '.data/models',
  say: (line) => console.log(line),
});

async function run(context: Context): Promise<void> {
  const { positionals, values } = parseArguments();
  const [command, target, ...more] = positionals;
  if (values.help) return context.say(USAGE);
  requireUsed(values, { command, target });
  if (command === undefined) return await prepareModels(context.modelsDir, context.say);
  if (!Object.hasOwn(commands, command) || more.length > 0) throw new Error(USAGE);
  await commands[command as keyof typeof commands]({ ...context, target, values });
}

/** Throws an Error for an option of another command, which would be ignored. */
function requireUsed(
  given: object,
  { command, target }: { command: string | undefined; target: string | undefined },
) {
  const ofUse = ['canary', 'shadow'];
  const ofFile = Object.keys(options).filter((name) => !ofUse.includes(name));
  const isFile = command === 'add' && target?.endsWith('.onnx');
  const used = isFile ? ofFile : command === 'use' ? ofUse : [];
  const unused = Object.keys(given).find((name) => !used.includes(name));
  if (unused === undefined) return;
  const owner = ofUse.includes(unused) ? 'use PROFILE' : 'add FILE.onnx';
  throw new Error(`--${unused} is an option of "${owner}" only`);
}

function parseArguments() {
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    throw new Error(`${(error as Error).message}\n\n${USAGE}`, { cause: error });
  }
}

async function list({ modelsDir, say }: Command): Promise<void> {
  const catalogue = await readShipped(modelsDir);
  const active = await readProfile(modelsDir, settings().profile);
  const missing = await findMissing(modelsDir, listAll(catalogue));
  const state = (models: NamedModel[]) =>
    models.some(({ name }) => missing.some((other) => other.name === name)) ? 'no' : 'yes';
  const profiles = Object.entries(catalogue.profiles);
  const header = ['profile', 'fetched', 'CPU-ms', 'EER', 'APCER@5%', 'EER photos', 'APCER@5%'];
  const lines = profiles.map(([name, profile]) => [
    name === active ? `${name} (active)` : name,
    state(listModels(catalogue, profile)),
    ...describeFigures(profile),
  ]);
  say(formatTable(header, lines));
  for (const [name, { summary }] of profiles) say(`  ${name}: ${summary}`);
  for (const model of listAll(catalogue)) {
    say(`\n  ${model.name} ${model.version} (${model.task}), fetched: ${state([model])}`);
    say(`    licence: ${model.licence}\n    training data: ${model.training_data}`);
  }
}

/** CPU-ms, then EER and APCER at BPCER 5 % of all images and of whole photos. */
function describeFigures({ figures }: Profile): string[] {
  const groups = ['all', 'whole photos'].map((group) => figures?.rates[group]);
  const rates = groups.flatMap((group) => [group?.['eer'], group?.['apcer_at_bpcer_5']]);
  return [
    figures?.cpu_ms_per_image?.toFixed(1) ?? '-',
    ...rates.map((rate) => rate?.toFixed(3) ?? '-'),
  ];
}

function listAll({ models }: Catalogue): NamedModel[] {
  return Object.entries(models).map(([name, model]) => ({ name, ...model }));
}

async function add(command: Command): Promise<void> {
  const { modelsDir, target, say } = command;
  if (target === undefined) throw new Error(USAGE);
  if (target.endsWith('.onnx')) return await addFile(target, command);
  const catalogue = await readShipped(modelsDir);
  const isModel = Object.hasOwn(catalogue.models, target);
  const models = isModel
    ? listAll(catalogue).filter(({ name }) => name === target)
    : listModels(catalogue, findProfile(catalogue, target));
  // The catalogue goes into the folder as well.
  await prepareModels(modelsDir, () => {});
  await prepareFiles(modelsDir, models, { ...settings(), say });
}

async function addFile(path: string, { modelsDir, values, say }: Command): Promise<void> {
  if (!values.images) throw new Error(`name labelled images to try ${path} on: --images DIR`);
  const known = readKnown(values);
  const own = values.name ?? basename(path, '.onnx');
  await requireFreeName(own);
  await prepareModels(modelsDir, () => {}, { ...settings(), profile: 'default' });
  const { entry, bytes } = await describeFile(path, {
    modelsDir,
    images: values.images,
    name: own,
    licence: values.licence ?? 'not stated',
    trainingData: values['training-data'] ?? 'not stated',
    maxImages: readNumber('max-images', values['max-images'] ?? '120'),
    size: values.size === undefined ? undefined : readNumber('size', values.size),
    known,
    date: new Date().toISOString().slice(0, 10),
    say,
  });
  say(JSON.stringify(entry, null, 2));
  if (values['dry-run']) return;
  await addToOwn(modelsDir, entry);
  for (const { file } of Object.values(entry.models)) {
    await writeAtomically(join(modelsDir, file), bytes);
  }
  const [name] = Object.keys(entry.profiles);
  say(`Added to ${join(modelsDir, OWN_FILE)}. Use it with: npm run models -- use ${name}`);
}

function readNumber(option: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new Error(`--${option} "${text}" is not a whole number above 0`);
}

async function use({ modelsDir, target, values, say }: Command): Promise<void> {
  if (target === undefined) throw new Error(USAGE);
  await prepareModels(modelsDir, say, { ...settings(), profile: target });
  const shares = { canary: readShare(values.canary), shadow: readShare(values.shadow) };
  await requireOwnCalibration(target, shares);
  const rollout = await useProfile(target, {
    ...shares,
    modelsDir,
    environment: toRolloutSettings(
      readWorkerConfig({ ...process.env, LIVEGATE_MODELS_DIR: modelsDir }),
    ),
  });
  say(`Models: wrote ${join(modelsDir, ROLLOUT_FILE)}: ${JSON.stringify(rollout)}`);
  say('Workers follow within seconds: see their log line "models swapped", or /v1/models');
  const { profile } = settings();
  if (profile !== undefined && profile !== rollout.profile) {
    say(`LIVEGATE_PROFILE=${profile} is set: workers with it start with ${profile} again`);
  }
}

function readShare(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

/** Throws an Error if a file has another hash, or one of the active profile is missing. */
async function verify({ modelsDir, say }: Command): Promise<void> {
  const catalogue = await readShipped(modelsDir);
  const active = await readProfile(modelsDir, settings().profile);
  const profile = listModels(catalogue, findProfile(catalogue, active));
  const needed = new Set(profile.map(({ name }) => name));
  const problems: string[] = [];
  for (const model of listAll(catalogue)) {
    const path = join(modelsDir, model.file);
    const isThere = await readFile(path).then(
      () => true,
      () => false,
    );
    const isRight = (await findMissing(modelsDir, [model])).length === 0;
    const isNeeded = needed.has(model.name);
    say(`${isRight ? 'ok' : isThere ? 'CHANGED' : 'not fetched'}  ${path}`);
    if (isThere ? !isRight : isNeeded) problems.push(path);
  }
  if (problems.length > 0) {
    throw new Error(`missing or changed: ${problems.join(', ')}: run "npm run models"`);
  }
  say(`Models: profile ${active} is complete in ${modelsDir}`);
}
