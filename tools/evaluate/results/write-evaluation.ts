// Writes an evaluation as JSON, as CSV and as a page.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import type { EvaluatedImage, Evaluation } from '../evaluation.js';
import { measureNames } from '../statistics/measures.js';
import { writeReport } from './report.js';

/**
 * The folder of these data, named after their last part. Other data with the same last part have a
 * folder of their own, because an evaluation that goes on reuses the answers in its folder.
 */
export async function openResultFolder(parent: string, data: string): Promise<string> {
  const name = basename(data, extname(data)) || 'data';
  const path = `${resolve(data)}\n`;
  for (let number = 1; ; number++) {
    const folder = join(parent, number === 1 ? name : `${name}-${number}`);
    await mkdir(folder, { recursive: true });
    const note = join(folder, 'data.txt');
    const owner = await readFile(note, 'utf8').catch(() => undefined);
    if (owner === undefined) await writeFile(note, path);
    if (owner === undefined || owner === path) return folder;
  }
}

/** Writes evaluation.json, figures.csv, images.csv and report.html into the folder. */
export async function writeEvaluation(evaluation: Evaluation, folder: string): Promise<void> {
  const files = {
    'evaluation.json': `${JSON.stringify(evaluation, null, 1)}\n`,
    'figures.csv': stringify(listFigures(evaluation), { header: true }),
    'images.csv': stringify(evaluation.images.map(flattenImage), { header: true }),
    'report.html': writeReport(evaluation),
  };
  await Promise.all(
    Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)),
  );
}

/** Spreadsheets run a cell that begins with one of these as a formula. */
const escapeFormula = (text: string) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);

function flattenImage({ groups, quality, path, ...image }: EvaluatedImage) {
  return { path: escapeFormula(path), ...image, ...groups, quality: quality.join(' ') };
}

/** One row per group and measure. */
function listFigures({ all, groups }: Evaluation) {
  const named = Object.entries(groups).flatMap(([column, values]) =>
    Object.entries(values).map(([value, group]) => ({ column, value, group })),
  );
  return [{ column: 'all', value: '', group: all }, ...named].flatMap(({ column, value, group }) =>
    measureNames.map((measure) => {
      const { value: figure, by_source, by_image } = group.figures[measure];
      const [low_by_source, high_by_source] = by_source ?? [];
      const [low_by_image, high_by_image] = by_image ?? [];
      const bounds = { low_by_source, high_by_source, low_by_image, high_by_image };
      return { column, value: escapeFormula(value), measure, figure, ...bounds };
    }),
  );
}
