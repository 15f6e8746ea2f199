import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readWorkerConfig } from '@livegate/worker/config';
import { MANIFEST_FILE, parseManifest } from '@livegate/worker/model-manifest';
import { formatTable } from '../format-table.js';
import { countViews } from './bare.js';
import type { Bench, Part } from './bench.js';
import { formatNumber } from './figure.js';
import { openPipeline } from '../open-pipeline.js';
import { percentile, repeatWork } from './rounds.js';

/**
 * Images per second and core of the Python pipeline that the models were published with
 * (Silent-Face-Anti-Spoofing), at its best batch and threads on a machine of this kind: 105 ms.
 */
const PYTHON_PER_CORE = 1000 / 105;

/** How the rate depends on the picture. */
export const measurePhotoSizes: Part = async (bench, say) => {
  const cores = bench.layout.engines * bench.layout.intraOpThreads;
  const python = cores * PYTHON_PER_CORE;
  const { selfie: portrait, closeUp: near, sizes } = bench.photos;
  const photos = [{ name: 'selfie', jpeg: portrait }, { name: 'close-up', jpeg: near }, ...sizes];
  const rows = [];
  for (const photo of photos) rows.push({ ...photo, ...(await measure(bench, photo.jpeg)) });
  const lines = rows.map(({ name, jpeg, views, perSecond, p50Ms }) => [
    name,
    ...[jpeg.length / 1024, views, perSecond, p50Ms].map(formatNumber),
  ]);
  say(formatTable(['in process, saturated', 'KiB', 'views', 'images/s', 'p50 ms'], lines));
  const closeUp = rows.find(({ name }) => name === 'close-up')!;
  const oneView = await withOneView(bench, (narrowed) => measure(narrowed, closeUp.jpeg));
  return [
    figure(`throughput / Python, ${closeUp.views} views`, closeUp.perSecond / python, 3),
    figure(`throughput / Python, ${oneView.views} view`, oneView.perSecond / python, 6),
  ];
};

/** The same models, told to look at the first of their views only. */
async function withOneView<Result>(bench: Bench, work: (bench: Bench) => Promise<Result>) {
  const modelsDir = await mkdtemp(join(tmpdir(), 'livegate-one-view-'));
  await cp(bench.modelsDir, modelsDir, { recursive: true });
  const path = join(modelsDir, MANIFEST_FILE);
  const manifest = parseManifest(await readFile(path, 'utf8'), path);
  const [first] = manifest.classifiers;
  await writeFile(
    path,
    JSON.stringify({ ...manifest, classifiers: [{ ...first, views: first!.views.slice(0, 1) }] }),
  );
  const config = readWorkerConfig({ ...bench.env, LIVEGATE_MODELS_DIR: modelsDir });
  const pipeline = await openPipeline(config);
  try {
    return await work({ ...bench, modelsDir, pipeline });
  } finally {
    await pipeline.close();
    await rm(modelsDir, { recursive: true });
  }
}

async function measure({ pipeline, modelsDir, seconds }: Bench, jpeg: Buffer) {
  const { concurrency } = pipeline;
  const rate = await repeatWork(() => pipeline.assess(jpeg), { concurrency, seconds });
  const views = await countViews(modelsDir, jpeg);
  return { views, perSecond: rate.perSecond, p50Ms: percentile(rate.latenciesMs, 0.5) };
}

function figure(name: string, value: number, atLeast: number) {
  return { name, value, unit: 'x', aim: { atLeast } };
}
