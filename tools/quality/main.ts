// npx tsc -b && node tools/dist/quality/main.js FOLDER [--csv FILE] [--only CODE]: degrades the bona fide
// photos of a folder by code, counts how well each quality code is found, and keeps the measures in FILE.
// The folder has images, detection.csv (path, faces) and liveness.csv (path, label, kind, framing).
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Quality, type QualityCode, qualityCodes } from '@livegate/core/domain';
import { readWorkerConfig } from '@livegate/worker/config';
import type { ImageScheduler } from '@livegate/worker/scheduling/schedule-images';
import sharp, { type Sharp } from 'sharp';
import { formatTable } from '../format-table.js';
import { openPipeline } from '../open-pipeline.js';
import { levelsOf, type Photo } from './levels.js';

/** Larger photos are fitted into a square of this side first, so that a run takes minutes. */
const MAX_SIDE = 800;

/** One degraded photo. */
interface Row {
  half: 'first' | 'second';
  path: string;
  code: QualityCode;
  level: number;
  isWeak: boolean;
  quality: Quality;
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { csv: { type: 'string' }, only: { type: 'string' } },
});
await main(positionals[0] ?? '../shared/data');

async function main(folder: string): Promise<void> {
  const pipeline = await openPipeline(readWorkerConfig(process.env));
  const rows: Row[] = [];
  for (const path of await listPhotos(folder)) {
    const photo = await openPhoto(pipeline, folder, path);
    if (photo) rows.push(...(await degradePhoto(pipeline, photo)));
  }
  await pipeline.close();
  if (values.csv) await writeFile(values.csv, toCsv(rows));
  for (const half of ['first', 'second'] as const) {
    console.log(`\nPhotos of the ${half} half`);
    console.log(describe(rows.filter((row) => row.half === half)));
  }
}

/** Bona fide photos of the two tables, as far as they are whole photos of one face. */
async function listPhotos(folder: string): Promise<string[]> {
  const read = async (name: string) =>
    (await readFile(join(folder, name), 'utf8'))
      .trim()
      .split(/\r?\n/)
      .map((line) => line.split(','));
  const liveness = await read('liveness.csv');
  const detection = await read('detection.csv');
  return [
    ...liveness.filter(([, label, , framing]) => label === 'bona-fide' && framing === 'photo'),
    ...detection.filter(([, faces]) => faces === 'one'),
  ].map(([path = '']) => path);
}

async function openPhoto(
  pipeline: ImageScheduler,
  folder: string,
  path: string,
): Promise<Photo | undefined> {
  const side = MAX_SIDE;
  const file = sharp(join(folder, path)).autoOrient();
  const fitted = file.resize({
    width: side,
    height: side,
    fit: 'inside',
    withoutEnlargement: true,
  });
  const { data: image, info } = await fitted
    .png({ compressionLevel: 1 })
    .toBuffer({ resolveWithObject: true });
  const quality = await assess(pipeline, sharp(image));
  if (!quality) return undefined;
  const { width, height } = info;
  const { face } = quality;
  return {
    path,
    image,
    width,
    height,
    face: {
      left: face.left * width,
      top: face.top * height,
      width: face.width * width,
      height: face.height * height,
    },
    size: quality.measures.facePixels,
  };
}

async function degradePhoto(pipeline: ImageScheduler, photo: Photo): Promise<Row[]> {
  // By the hash of the file's name: the same in every run, and no photo is in both halves.
  const isFirst = createHash('sha256').update(photo.path).digest()[0]! % 2 === 0;
  const half = isFirst ? 'first' : 'second';
  const rows: Row[] = [];
  for (const { code, degrade, level, isWeak } of listLevels()) {
    const picture = await degrade(photo, level);
    const quality = picture && (await assess(pipeline, picture));
    if (quality) rows.push({ half, path: photo.path, code, level, isWeak, quality });
  }
  return rows;
}

function listLevels() {
  return qualityCodes
    .filter((code) => !values.only || values.only === code)
    .flatMap((code) => {
      const levels = levelsOf[code];
      if (!levels) return [];
      const { degrade, weak, good } = levels;
      const toLevel = (isWeak: boolean) => (level: number) => ({ code, degrade, level, isWeak });
      return [...weak.map(toLevel(true)), ...good.map(toLevel(false))];
    });
}

/** As a JPEG, like the photo of a phone; `undefined` without exactly one face. */
async function assess(pipeline: ImageScheduler, picture: Sharp): Promise<Quality | undefined> {
  const { assessment } = await pipeline.assess(await picture.jpeg({ quality: 92 }).toBuffer());
  return assessment.kind === 'scored' ? assessment.quality : undefined;
}

/** Recall: the share of the weak pictures with the code. Precision: the share of weak ones among all with it. */
function describe(rows: Row[]): string {
  const lines = qualityCodes
    .filter((code) => levelsOf[code])
    .map((code) => {
      const own = rows.filter((row) => row.code === code);
      const named = own.filter(({ quality }) => quality.codes.includes(code));
      const weak = own.filter(({ isWeak }) => isWeak);
      const right = named.filter(({ isWeak }) => isWeak).length;
      const rates = [right / named.length, right / weak.length].map((rate) => rate.toFixed(3));
      return [code, `${weak.length}`, `${own.length - weak.length}`, ...rates];
    });
  return formatTable(['code', 'weak', 'good', 'precision', 'recall'], lines);
}

function toCsv(rows: Row[]): string {
  const names = Object.keys(rows[0]?.quality.measures ?? {});
  const lines = rows.map(({ half, path, code, level, isWeak, quality }) =>
    [
      half,
      path,
      code,
      level,
      isWeak,
      quality.codes.join(' '),
      ...Object.values(quality.measures),
    ].join(','),
  );
  return [
    ['half', 'path', 'code', 'level', 'weak', 'codes', ...names].join(','),
    ...lines,
    '',
  ].join('\n');
}
