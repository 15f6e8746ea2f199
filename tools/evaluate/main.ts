// npm run evaluate -- DATA: the error rates on labelled images. npm run calibrate -- DATA: a
// calibration and cut points from them. bootstrap.mjs has already installed and built, and changed to
// the repository's root.
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { calibrate, type LogitSample } from './calibrate.js';
import { compare, readEvaluation } from './compare.js';
import { evaluate } from './evaluation.js';
import type { Method } from './statistics/fit-calibration.js';
import { openLocalScorer, openServerScorer, type Scorer, type ScorerFacts } from './open-scorer.js';
import { type DataSet, readSamples } from './read-samples.js';
import { type Judged, scoreSamples, takeGivenScores } from './score-samples.js';
import { formatCalibration, formatComparison, formatEvaluation } from './results/format-results.js';
import { openResultFolder, writeEvaluation } from './results/write-evaluation.js';

const usage = `
npm run evaluate -- DATA [options]                 error rates on labelled images
npm run evaluate -- --compare A.json B.json        paired test of two evaluations
npm run calibrate -- DATA [options]                a calibration and cut points

DATA is a folder of SOURCE/{bona-fide,attack[/KIND]}/…, or a CSV file with the columns path and label,
and optionally kind, source, score and any column to group by.

--out FOLDER          where the results go; default .data/evaluations/NAME
--url URL             judge with a running server, without /face/v1; not for calibrate
--username, --password, --api-key   its credentials; default: those of development
--concurrency N       images in work at once, no more than the worker's pipeline takes; default 1, so
                      that latencies are those of one image
--logits A,B          take the mean of these columns of the CSV file as logit, and run no model
--moderate-from X, --high-from X    cut points for scores from the CSV file; default 0.45 and 0.6
--replicates N        bootstrap replicates; default 2000
--seed N              of the bootstrap; default 1
--target-bpcer X      calibrate: BPCER at the cut point HIGH of the level "regular"; default 0.05
--method NAME         calibrate: platt or isotonic; default: the better one on held-out sources`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', default: false },
    compare: { type: 'boolean', default: false },
    calibrate: { type: 'boolean', default: false },
    out: { type: 'string' },
    url: { type: 'string' },
    username: { type: 'string', default: 'default-username' },
    password: { type: 'string', default: 'default-password' },
    'api-key': { type: 'string', default: 'default-api-key' },
    concurrency: { type: 'string', default: '1' },
    logits: { type: 'string' },
    'moderate-from': { type: 'string', default: '0.45' },
    'high-from': { type: 'string', default: '0.6' },
    replicates: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    'target-bpcer': { type: 'string', default: '0.05' },
    method: { type: 'string' },
  },
});

const say = (line: string) => console.error(line);

await run();

async function run(): Promise<void> {
  const [first, second] = positionals;
  if (options.help || !first) return console.log(usage.trim());
  if (options.compare) return await runCompare(first, second);
  if (options.calibrate) return await runCalibrate(first);
  return await runEvaluate(first);
}

async function runEvaluate(path: string): Promise<void> {
  const bootstrap = readBootstrap();
  const folder = await openFolder(path);
  const data = await readData(path);
  const { judged, system } = await judge(data, folder);
  say('computing intervals …');
  const evaluation = evaluate(judged, { data, system, bootstrap });
  await writeEvaluation(evaluation, folder);
  console.log(formatEvaluation(evaluation));
  console.log(`\nWritten to ${folder}: evaluation.json, figures.csv, images.csv, report.html`);
}

async function runCompare(a: string, b: string | undefined): Promise<void> {
  if (!b) throw new Error('--compare needs two files: A.json B.json');
  const comparison = compare(await readEvaluation(a), await readEvaluation(b), readBootstrap());
  console.log(formatComparison(comparison));
  if (!options.out) return;
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, 'comparison.json'), toJson(comparison));
}

async function runCalibrate(path: string): Promise<void> {
  if (options.url) throw new Error('calibrate needs unrounded logits: leave out --url');
  const targetBpcer = readNumber('target-bpcer', { above: 0, max: 0.25 });
  const method = readMethod();
  const bootstrap = readBootstrap();
  const folder = await openFolder(path);
  const data = await readData(path);
  const { judged, system } = await judge(data, folder);
  const file = calibrate(judged.flatMap(toLogitSample), {
    targetBpcer,
    ...(method && { method }),
    bootstrap,
    profile: system.profile,
    model: system.model,
    // `GET /v1/models` shows it to everybody, so no path.
    data: { name: basename(data.name), date: new Date().toISOString().slice(0, 10) },
  });
  const written = join(folder, 'calibration.json');
  await writeFile(written, toJson(file));
  console.log(formatCalibration(file));
  console.log(`\nWritten to ${written}. A worker loads it from LIVEGATE_CALIBRATION_FILE.`);
}

async function readData(path: string): Promise<DataSet> {
  const data = await readSamples(path, options.logits?.split(','));
  for (const note of data.notes) say(note);
  return data;
}

async function openFolder(path: string): Promise<string> {
  if (!options.out) return await openResultFolder('.data/evaluations', path);
  await mkdir(options.out, { recursive: true });
  return options.out;
}

/** By models, unless the data already have scores. */
async function judge(
  data: DataSet,
  folder: string,
): Promise<{ judged: Judged[]; system: ScorerFacts }> {
  if (data.samples.every(({ logit }) => logit !== undefined)) {
    return { judged: takeGivenScores(data.samples), system: describeGivenScores(data) };
  }
  const concurrency = readNumber('concurrency', { above: 0, max: 256 });
  const scorer = await openScorer();
  try {
    const judged = await scoreSamples(data, scorer, { folder, concurrency, say });
    return { judged, system: scorer.facts };
  } finally {
    await scorer.close();
  }
}

async function openScorer(): Promise<Scorer> {
  const { url, username, password } = options;
  if (url) return await openServerScorer({ url, username, password, apiKey: options['api-key'] });
  // A calibration is fitted to what the models say without one.
  const uncalibrated = { ...process.env, LIVEGATE_CALIBRATION_FILE: '' };
  return await openLocalScorer(options.calibrate ? uncalibrated : process.env);
}

function describeGivenScores({ name }: DataSet): ScorerFacts {
  return {
    model: options.logits ? `mean of the logits ${options.logits}` : 'scores of the file',
    profile: 'default',
    cutPoints: {
      moderate: readNumber('moderate-from', { above: 0, max: 1 }),
      high: readNumber('high-from', { above: 0, max: 1 }),
    },
    where: name,
  };
}

function toLogitSample({ judgement, ...sample }: Judged): LogitSample[] {
  const { path, label, source, species, groups, sha256 } = sample;
  if (!label || judgement.logit === undefined) return [];
  const framing = groups['framing'] ?? 'unspecified';
  const { logit } = judgement;
  return [{ path, label, source, species, framing, logit, ...(sha256 && { sha256 }) }];
}

function readBootstrap() {
  return {
    replicates: readNumber('replicates', { above: 99, max: 100_000 }),
    seed: readNumber('seed', { above: -1, max: 2 ** 31 - 1 }),
  };
}

type NumberOption =
  'concurrency' | 'moderate-from' | 'high-from' | 'replicates' | 'seed' | 'target-bpcer';

function readNumber(name: NumberOption, { above, max }: { above: number; max: number }): number {
  const value = Number(options[name]);
  if (value > above && value <= max) return value;
  throw new Error(`--${name} must be above ${above} and at most ${max}`);
}

function readMethod(): Method | undefined {
  const { method } = options;
  if (method === undefined || method === 'platt' || method === 'isotonic') return method;
  throw new Error('--method must be platt or isotonic');
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
