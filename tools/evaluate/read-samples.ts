// Labelled images: a folder of `source/{bona-fide,attack[/kind]}/…`, or a CSV file that names them.
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, sep } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { Label } from './statistics/score-curve.js';

/** One row of the data: an image with at least one of `label` and `faces`. */
export interface Sample {
  /** Relative to the data's folder. */
  path: string;
  label?: Label;
  /** Attack instrument species; `unspecified` where the data do not say. */
  species: string;
  source: string;
  /** How many faces the image shows. */
  faces?: FaceCount;
  /** Further columns with few values, such as `framing`: each value gets figures of its own. */
  groups: Record<string, string>;
  /** From the column `score` or the columns of `--logits`: such an image is not judged again. */
  logit?: number;
}

export type FaceCount = 'none' | 'one' | 'many';

export interface DataSet {
  /** The folder or CSV file, as given. */
  name: string;
  folder: string;
  samples: Sample[];
  /** What was left out, and why. */
  notes: string[];
}

const UNSPECIFIED = 'unspecified';

/** JPEG and PNG are judged, the others are refused: both belong to the figures. */
const imageTypes = /^\.(jpe?g|png|webp|gif|bmp|tiff?|heic|heif|avif)$/i;

/** The tables that a folder may have in place of the tree. */
const tableNames = ['liveness.csv', 'detection.csv'];

/** Throws an Error that says what to change in the data. */
export async function readSamples(path: string, logitColumns: string[] = []): Promise<DataSet> {
  if (!existsSync(path)) throw new Error(`${path} does not exist`);
  if (!(await stat(path)).isDirectory()) return await readTables([path], { path, logitColumns });
  const tables = tableNames.map((name) => join(path, name)).filter((table) => existsSync(table));
  if (tables.length > 0) return await readTables(tables, { path, logitColumns });
  return await readTree(path);
}

async function readTree(folder: string): Promise<DataSet> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => !entry.isDirectory() && imageTypes.test(extname(entry.name)))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted();
  const samples = files.flatMap(sampleFromPath);
  if (samples.length === 0) {
    throw new Error(`${folder} has no image in SOURCE/bona-fide or SOURCE/attack[/KIND]`);
  }
  const outside = files.length - samples.length;
  const note = `left out, not in SOURCE/bona-fide or SOURCE/attack: ${outside}`;
  return { name: folder, folder, samples, notes: outside > 0 ? [note] : [] };
}

/** The source is the whole path above the label; the kind is the folder below `attack`. */
function sampleFromPath(path: string): Sample[] {
  const folders = dirname(path).split(sep);
  const at = folders.findIndex((name) => readLabel(name) !== undefined);
  if (at < 1) return [];
  const label = readLabel(folders[at]!)!;
  const species = (label === 'attack' && folders[at + 1]) || UNSPECIFIED;
  return [{ path, label, species, source: folders.slice(0, at).join('/'), groups: {} }];
}

/** `bona-fide`, `bona_fide` and `Bona Fide` are the same. */
function readLabel(text: string): Label | undefined {
  const word = text.trim().toLowerCase().replaceAll(/[ _]/g, '-');
  return word === 'attack' || word === 'bona-fide' ? word : undefined;
}

type Row = Record<string, string>;

/** Columns with a meaning of their own; every other column is a group. */
const knownColumns = new Set(['path', 'label', 'kind', 'source', 'faces', 'score']);

/** A column with more values than this is not a group, but a measurement or a name. */
const MAX_GROUP_VALUES = 24;

interface TableOptions {
  path: string;
  logitColumns: string[];
}

async function readTables(
  tables: string[],
  { path, logitColumns }: TableOptions,
): Promise<DataSet> {
  const samples: Sample[] = [];
  const notes: string[] = [];
  for (const table of tables) {
    const rows = await readTable(table, logitColumns);
    const { names, ignored } = findGroups(rows, logitColumns);
    if (ignored.length > 0) {
      const shown = ignored.length > 5 ? `${ignored.length} columns` : ignored.join(', ');
      notes.push(
        `${basename(table)}: ${shown} with over ${MAX_GROUP_VALUES} values are not groups`,
      );
    }
    samples.push(
      ...rows.map((row, i) => sampleFromRow(row, { table, line: i + 2, names, logitColumns })),
    );
  }
  const used = samples.filter(({ label, faces }) => label ?? faces);
  const unused = samples.length - used.length;
  if (unused > 0) notes.push(`left out, without a label or a count of faces: ${unused}`);
  const paths = new Set(samples.map((sample) => sample.path));
  if (paths.size < samples.length) throw new Error(`${path} names an image twice`);
  const folder = dirname(tables[0]!);
  return { name: path, folder, samples: used, notes };
}

async function readTable(table: string, logitColumns: string[]): Promise<Row[]> {
  const text = await readFile(table, 'utf8');
  const rows: Row[] = parse(text, { columns: true, bom: true, trim: true, skip_empty_lines: true });
  if (rows.length === 0) throw new Error(`${table} has no rows`);
  const columns = Object.keys(rows[0]!);
  const missing = ['path', ...logitColumns].filter((name) => !columns.includes(name));
  if (missing.length > 0) throw new Error(`${table} has no column ${missing.join(', ')}`);
  if (columns.includes('label') || columns.includes('faces')) return rows;
  throw new Error(`${table} needs a column "label" (attack or bona-fide) or "faces"`);
}

function findGroups(rows: Row[], logitColumns: string[]) {
  const columns = Object.keys(rows[0]!).filter(
    (name) => !knownColumns.has(name) && !logitColumns.includes(name),
  );
  const isGroup = (name: string) => new Set(rows.map((row) => row[name])).size <= MAX_GROUP_VALUES;
  return {
    names: columns.filter(isGroup),
    ignored: columns.filter((name) => !isGroup(name)),
  };
}

interface RowContext {
  table: string;
  line: number;
  names: string[];
  logitColumns: string[];
}

function sampleFromRow(row: Row, { table, line, names, logitColumns }: RowContext): Sample {
  const refuse = (problem: string) => new Error(`${table}, line ${line}: ${problem}`);
  const path = row['path'];
  if (!path) throw refuse('the path is empty');
  const label = readLabel(row['label'] ?? '');
  if (row['label'] && !label)
    throw refuse(`label "${row['label']}" is neither attack nor bona-fide`);
  const faces = row['faces'] ?? '';
  const values = logitColumns.length > 0 ? logitColumns.map((name) => readNumber(row, name)) : [];
  const score = row['score'] ? readNumber(row, 'score') : undefined;
  const logit = values.length > 0 ? mean(values) : score === undefined ? undefined : toLogit(score);
  if (Number.isNaN(logit)) throw refuse('a score or logit is not a number');
  return {
    path,
    ...(label && { label }),
    ...(isFaceCount(faces) && { faces }),
    ...(logit !== undefined && { logit }),
    species: row['kind'] || UNSPECIFIED,
    source: row['source'] || UNSPECIFIED,
    groups: Object.fromEntries(names.map((name) => [name, row[name] || UNSPECIFIED])),
  };
}

function isFaceCount(text: string): text is FaceCount {
  return ['none', 'one', 'many'].includes(text);
}

/** NaN for an empty cell, which Number would take for 0. */
function readNumber(row: Row, name: string): number {
  return row[name] ? Number(row[name]) : NaN;
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** The logit of a probability; clamped, because that of 0 and 1 is infinite. */
export function toLogit(probability: number): number {
  const p = Math.min(Math.max(probability, 1e-7), 1 - 1e-7);
  return Math.log(p / (1 - p));
}
