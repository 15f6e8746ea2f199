// npm run check:data -- [folder]: measures the accuracy of the pipeline on labelled photos.
// bootstrap.mjs has already installed and built, and changed to the repository's root.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LivegateError } from '@livegate/core/domain';
import { readWorkerConfig } from '@livegate/worker/config';
import type { AssessedImage } from '@livegate/worker/inference/pipeline';
import type { ImageScheduler } from '@livegate/worker/scheduling/schedule-images';
import { formatTable } from '../format-table.js';
import { prepareModels } from '../models/prepare-models.js';
import { openPipeline } from '../open-pipeline.js';
import { apcerAtBpcer, areaUnderCurve, equalErrorRate } from './measures.js';

const expectedKinds: Record<string, string> = {
  none: 'no_face',
  one: 'scored',
  many: 'too_many_faces',
};

const livenessHeader = [
  '',
  'attack',
  'bona fide',
  'no face',
  'many',
  'error',
  'AUC',
  'EER',
  'APCER@5%',
];

const { positionals } = parseArgs({ allowPositionals: true });
await checkData(positionals[0] ?? '../shared/data');

/** `folder` contains images, detection.csv (path, faces) and liveness.csv (path, label, framing, source). */
async function checkData(folder: string): Promise<void> {
  const detectionRows = await readTable(join(folder, 'detection.csv'), ['path', 'faces']);
  const livenessColumns = ['path', 'label', 'framing', 'source'] as const;
  const livenessRows = await readTable(join(folder, 'liveness.csv'), livenessColumns);
  const config = readWorkerConfig(process.env);
  await prepareModels(config.LIVEGATE_MODELS_DIR, console.log);
  const pipeline = await openPipeline(config);
  const detection = await assessFiles(pipeline, folder, detectionRows);
  const liveness = await assessFiles(pipeline, folder, livenessRows);
  await pipeline.close();
  console.log(describeDetection(detection));
  console.log(describeLiveness(liveness));
  console.log(describeSpeed(liveness));
}

/** Reads a CSV file with a header and without quoting. Throws an Error if a column is missing. */
async function readTable<Column extends string>(
  path: string,
  columns: readonly Column[],
): Promise<Record<Column, string>[]> {
  const [header = '', ...lines] = (await readFile(path, 'utf8')).trim().split(/\r?\n/);
  const names = header.split(',');
  const missing = columns.filter((column) => !names.includes(column));
  if (missing.length > 0) throw new Error(`${path} has no column ${missing.join(', ')}`);
  return lines.map((line) => {
    const values = line.split(',');
    const cells = columns.map((column) => [column, values[names.indexOf(column)] ?? '']);
    return Object.fromEntries(cells) as Record<Column, string>;
  });
}

/** A labelled row with the pipeline's outcome for its image. */
type Assessed<Row> = Row & { outcome: AssessedImage | LivegateError };

/** Assesses one image at a time, so that the timings are those of a single image. */
async function assessFiles<Row extends { path: string }>(
  pipeline: ImageScheduler,
  folder: string,
  rows: Row[],
): Promise<Assessed<Row>[]> {
  const assessed: Assessed<Row>[] = [];
  for (const row of rows) {
    const image = await readFile(join(folder, row.path));
    assessed.push({ ...row, outcome: await pipeline.assess(image).catch(requireRefusal) });
  }
  return assessed;
}

function requireRefusal(error: unknown): LivegateError {
  if (error instanceof LivegateError) return error;
  throw error;
}

/** `no_face`, `too_many_faces`, `scored`, or the code of the error. */
function kindOf({ outcome }: Assessed<object>): string {
  return outcome instanceof LivegateError ? outcome.code : outcome.assessment.kind;
}

/** P(spoof) of the scored images. */
function spoofProbabilities(rows: Assessed<object>[]): number[] {
  return rows.flatMap(({ outcome }) =>
    !(outcome instanceof LivegateError) && outcome.assessment.kind === 'scored'
      ? [outcome.assessment.spoofProbability]
      : [],
  );
}

type DetectionRow = Assessed<{ path: string; faces: string }>;

/** How often the number of faces (none, one, many) is right. Ignores other labels and errors. */
function describeDetection(rows: DetectionRow[]): string {
  const judged = rows.filter((row) => row.faces in expectedKinds && isAssessed(row));
  const lines = Object.keys(expectedKinds).map((faces) =>
    countRight(
      faces,
      judged.filter((row) => row.faces === faces),
    ),
  );
  const table = formatTable(
    ['faces', 'images', 'right', 'share'],
    [...lines, countRight('all', judged)],
  );
  const notes = rows.filter((row) => !isRight(row)).map(describeMiss);
  return ['\nFace count', table, ...notes].join('\n');
}

function countRight(name: string, rows: DetectionRow[]): string[] {
  const right = rows.filter(isRight).length;
  return [name, `${rows.length}`, `${right}`, (right / rows.length).toFixed(3)];
}

function isRight(row: DetectionRow): boolean {
  return kindOf(row) === expectedKinds[row.faces];
}

function isAssessed(row: DetectionRow): boolean {
  return Object.values(expectedKinds).includes(kindOf(row));
}

function describeMiss(row: DetectionRow): string {
  const counted = row.faces in expectedKinds && isAssessed(row) ? '' : ' (not counted)';
  return `  ${row.path}: labelled ${row.faces}, found ${kindOf(row)}${counted}`;
}

type LivenessRow = Assessed<{ label: string; framing: string; source: string }>;

/**
 * How well P(spoof) separates attack presentations from bona fide ones, per source, per framing and
 * for all. Images without exactly one face have no score and are only counted.
 */
function describeLiveness(rows: LivenessRow[]): string {
  const lines = [
    ...describeGroups(rows, (row) => row.source),
    ...describeGroups(rows, (row) => `all: ${row.framing}`),
    describeGroup('all', rows),
  ];
  return [
    '\nLiveness (rated: images with exactly one face; APCER@5% = APCER at BPCER <= 5 %)',
    formatTable(livenessHeader, lines),
    `macro AUC over sources with both kinds: ${macroAuc(rows).toFixed(3)}`,
  ].join('\n');
}

function describeGroups(rows: LivenessRow[], nameOf: (row: LivenessRow) => string): string[][] {
  const names = [...new Set(rows.map(nameOf))].toSorted();
  return names.map((name) =>
    describeGroup(
      name,
      rows.filter((row) => nameOf(row) === name),
    ),
  );
}

function describeGroup(name: string, rows: LivenessRow[]): string[] {
  const count = (kind: string) => rows.filter((row) => kindOf(row) === kind).length;
  const { attack, bonaFide } = splitScores(rows);
  const faceCounts = [count('no_face'), count('too_many_faces')];
  const errors = rows.length - count('scored') - faceCounts[0]! - faceCounts[1]!;
  const counts = [attack.length, bonaFide.length, ...faceCounts, errors].map(String);
  if (attack.length === 0 || bonaFide.length === 0) return [name, ...counts, '-', '-', '-'];
  const rates = [
    areaUnderCurve(attack, bonaFide),
    equalErrorRate(attack, bonaFide),
    apcerAtBpcer(attack, bonaFide, 0.05),
  ];
  return [name, ...counts, ...rates.map((rate) => rate.toFixed(3))];
}

function macroAuc(rows: LivenessRow[]): number {
  const aucs = [...new Set(rows.map((row) => row.source))]
    .map((source) => splitScores(rows.filter((row) => row.source === source)))
    .filter(({ attack, bonaFide }) => attack.length > 0 && bonaFide.length > 0)
    .map(({ attack, bonaFide }) => areaUnderCurve(attack, bonaFide));
  return aucs.reduce((a, b) => a + b, 0) / aucs.length;
}

function splitScores(rows: LivenessRow[]): { attack: number[]; bonaFide: number[] } {
  return {
    attack: spoofProbabilities(rows.filter((row) => row.label === 'attack')),
    bonaFide: spoofProbabilities(rows.filter((row) => row.label === 'bona-fide')),
  };
}

/** Milliseconds per image inside this process, one image at a time. */
function describeSpeed(rows: Assessed<object>[]): string {
  const timings = rows.flatMap(({ outcome }) =>
    outcome instanceof LivegateError ? [] : [outcome.timings],
  );
  const stages = {
    decode: timings.map((t) => t.decodeMs),
    detect: timings.map((t) => t.detectMs),
    classify: timings.map((t) => t.classifyMs),
    all: timings.map((t) => t.decodeMs + t.detectMs + t.classifyMs),
  };
  const lines = Object.entries(stages).map(([stage, ms]) => {
    const sorted = ms.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1);
    return [stage, at(0.5), at(0.95)];
  });
  return ['\nSpeed, ms per image', formatTable(['stage', 'p50', 'p95'], lines)].join('\n');
}
