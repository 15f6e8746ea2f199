// npx tsc -b && node tools/dist/quality.js FOLDER [--csv FILE] [--only CODE]: degrades the bona fide photos of a folder by
// code, counts how well each quality code is told, and keeps the measures in FILE. FOLDER is that of
// `npm run check:data`.
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Quality, type QualityCode, qualityCodes } from '@livegate/core/domain';
import { readWorkerConfig } from '@livegate/worker/config';
import type { ImageScheduler } from '@livegate/worker/scheduling/schedule-images';
import sharp, { type Sharp } from 'sharp';
import { formatTable } from './format-table.js';
import { openPipeline } from './open-pipeline.js';

/** Larger photos are fitted into a square of this side first, so that a run takes minutes. */
const MAX_SIDE = 800;

/** An upright photo of one face, and where the face is, in pixels. */
interface Photo {
  path: string;
  image: Buffer;
  width: number;
  height: number;
  face: { left: number; top: number; width: number; height: number };
  /** The longer side of the face box. */
  size: number;
}

/** The picture at one level of a degradation; `undefined` if the photo does not allow it. */
type Degrade = (photo: Photo, level: number) => Sharp | undefined;

/** The levels at which a code must be told, and at which it must not. */
interface Levels {
  degrade: Degrade;
  told: number[];
  untold: number[];
}

const levelsOf: Partial<Record<QualityCode, Levels>> = {
  // The side of a square picture around the face, in faces.
  face_too_close: { degrade: cutSquare, told: [1.2, 1.4, 1.6], untold: [2, 2.3, 2.7] },
  // The share of the face box that is cut away, or that is free (negative).
  face_cropped: { degrade: cutFace, told: [0.2, 0.25, 0.3], untold: [-0.5, -0.4, -0.3] },
  // The longer side of the face box, in pixels.
  face_too_small: { degrade: shrink, told: [24, 28, 32], untold: [56, 80, 120] },
  // Degrees clockwise.
  face_turned: {
    degrade: ({ image }, degrees) => sharp(image).rotate(degrees, { background: 'gray' }),
    told: [-45, -40, -35, -30, 30, 35, 40, 45],
    untold: [-10, -5, 0, 0, 5, 10],
  },
  // The factor of all values.
  image_too_dark: { degrade: multiply, told: [0.15, 0.2, 0.25], untold: [0.6, 0.8, 1] },
  // Stops of exposure.
  image_too_bright: { degrade: expose, told: [3, 3.5, 4], untold: [-1, 0, 0.5] },
  // The standard deviation of a Gaussian blur, in faces.
  image_too_blurry: { degrade: blur, told: [0.03, 0.04, 0.05], untold: [0, 0.005, 0.01] },
  // The distance of the face from the center, as a share of the picture's width.
  face_off_center: { degrade: shift, told: [0.35, 0.38, 0.4], untold: [0.1, 0.15, 0.2] },
};

function cutSquare({ image, width, height, face, size }: Photo, faces: number): Sharp | undefined {
  const side = Math.round(faces * size);
  const left = Math.round(face.left + face.width / 2 - side / 2);
  const top = Math.round(face.top + face.height / 2 - side / 2);
  if (left < 0 || top < 0 || left + side > width || top + side > height) return undefined;
  return sharp(image).extract({ left, top, width: side, height: side });
}

/** From below, where a face leaves the picture most often. */
function cutFace({ image, width, height, face }: Photo, share: number): Sharp | undefined {
  const bottom = Math.round(face.top + (1 - share) * face.height);
  return bottom > height
    ? undefined
    : sharp(image).extract({ left: 0, top: 0, width, height: bottom });
}

function shrink({ image, width, size }: Photo, pixels: number): Sharp | undefined {
  if (pixels > size) return undefined;
  return sharp(image).resize({ width: Math.round((width * pixels) / size) });
}

function multiply({ image }: Photo, factor: number): Sharp {
  return sharp(image).linear(factor, 0);
}

/** In linear light, as a longer exposure does; the range is clipped at white. */
function expose({ image }: Photo, stops: number): Sharp {
  const gamma = 2.2;
  return sharp(image).linear(2 ** (stops / gamma), 0);
}

function blur({ image, size }: Photo, faces: number): Sharp {
  return faces === 0 ? sharp(image) : sharp(image).blur(Math.max(0.3, faces * size));
}

/** Widens the picture to the right, by repeating its edge. */
function shift({ image, width, face }: Photo, offset: number): Sharp | undefined {
  const center = face.left + face.width / 2;
  const right = Math.round(center / (0.5 - offset) - width);
  return right < 0 ? undefined : sharp(image).extend({ right, extendWith: 'copy' });
}

/** One degraded photo. */
interface Row {
  half: 'chosen' | 'held out';
  path: string;
  code: QualityCode;
  level: number;
  isTold: boolean;
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
  for (const half of ['chosen', 'held out'] as const) {
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
  const isChosen = createHash('sha256').update(photo.path).digest()[0]! % 2 === 0;
  const half = isChosen ? 'chosen' : 'held out';
  const rows: Row[] = [];
  for (const { code, degrade, level, isTold } of listLevels()) {
    const picture = degrade(photo, level);
    const quality = picture && (await assess(pipeline, picture));
    if (quality) rows.push({ half, path: photo.path, code, level, isTold, quality });
  }
  return rows;
}

function listLevels() {
  return qualityCodes
    .filter((code) => !values.only || values.only === code)
    .flatMap((code) => {
      const { degrade, told, untold } = levelsOf[code] ?? { degrade: blur, told: [], untold: [] };
      const toLevel = (isTold: boolean) => (level: number) => ({ code, degrade, level, isTold });
      return [...told.map(toLevel(true)), ...untold.map(toLevel(false))];
    });
}

/** As a JPEG, like the photo of a phone; `undefined` without exactly one face. */
async function assess(pipeline: ImageScheduler, picture: Sharp): Promise<Quality | undefined> {
  const { assessment } = await pipeline.assess(await picture.jpeg({ quality: 92 }).toBuffer());
  return assessment.kind === 'scored' ? assessment.quality : undefined;
}

/** Recall: the share of the told levels with the code. Precision: the share of told levels among all with it. */
function describe(rows: Row[]): string {
  const lines = qualityCodes
    .filter((code) => levelsOf[code])
    .map((code) => {
      const own = rows.filter((row) => row.code === code);
      const named = own.filter(({ quality }) => quality.codes.includes(code));
      const told = own.filter(({ isTold }) => isTold);
      const right = named.filter(({ isTold }) => isTold).length;
      const rates = [right / named.length, right / told.length].map((rate) => rate.toFixed(3));
      return [code, `${told.length}`, `${own.length - told.length}`, ...rates];
    });
  return formatTable(['code', 'weak', 'good', 'precision', 'recall'], lines);
}

function toCsv(rows: Row[]): string {
  const names = Object.keys(rows[0]?.quality.measures ?? {});
  const lines = rows.map(({ half, path, code, level, isTold, quality }) =>
    [
      half,
      path,
      code,
      level,
      isTold,
      quality.codes.join(' '),
      ...Object.values(quality.measures),
    ].join(','),
  );
  return [
    ['half', 'path', 'code', 'level', 'told', 'codes', ...names].join(','),
    ...lines,
    '',
  ].join('\n');
}
