import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LivegateError } from '@livegate/core/domain';
import type { AssessedImage } from '@livegate/worker/inference/pipeline';
import type { Pipeline } from '@livegate/worker/scheduling/schedule-images';

/** A CSV file without quoting, the column names first. Throws an Error if a column is missing. */
export async function readTable<Column extends string>(
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

/** A row of labels, and what the pipeline made of its image. */
export type Assessed<Row> = Row & { outcome: AssessedImage | LivegateError };

/** One image at a time, so that the timings are those of a single image. */
export async function assessFiles<Row extends { path: string }>(
  pipeline: Pipeline,
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
export function kindOf({ outcome }: Assessed<object>): string {
  return outcome instanceof LivegateError ? outcome.code : outcome.assessment.kind;
}

/** P(spoof) of the images that were scored. */
export function spoofProbabilities(rows: Assessed<object>[]): number[] {
  return rows.flatMap(({ outcome }) =>
    !(outcome instanceof LivegateError) && outcome.assessment.kind === 'scored'
      ? [outcome.assessment.spoofProbability]
      : [],
  );
}
