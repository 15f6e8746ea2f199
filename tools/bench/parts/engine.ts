import { readWorkerConfig } from '@livegate/worker/config';
import { allocateBatch, planesOf } from '@livegate/worker/inference/picture';
import { loadModels } from '@livegate/worker/models/load-models';
import type { ModelInput } from '@livegate/worker/models/catalogue';
import { type ModelSession, openSession } from '@livegate/worker/models/open-session';
import sharp from 'sharp';
import { formatTable } from '../../format-table.js';
import { fetchPublishedFiles } from '../../models/fetch-published-files.js';
import { freeBatchOf } from '../../models/rewrite-model.js';
import { openPipeline } from '../../open-pipeline.js';
import { countViews } from '../bare.js';
import { type Bench, formatNumber, type Part } from '../bench.js';
import { interleave, median, medianRatio, percentile, type Rate, repeatWork } from '../rounds.js';

const VIEWS = 4;
const RUNS = 30;

/** Compares the rewritten classifier with the published one, on one thread, for four views. */
export const measureClassifier: Part = async ({ modelsDir, photos }) => {
  const [model] = (await loadModels(modelsDir)).classifiers;
  if (model?.source.type !== 'npm') throw new Error('this part needs the default models');
  const [published] = await fetchPublishedFiles([model]);
  const options = { executionProvider: 'cpu', deviceId: 0, intraOpThreads: 1 } as const;
  const prepared = await openSession(model, options);
  const original = await openSession({ ...model, bytes: freeBatchOf(published!) }, options);
  const batch = await cutViews(photos.selfie, model.input);
  const times = await interleave(RUNS, {
    prepared: () => timeRun(prepared, batch),
    published: () => timeRun(original, batch),
  });
  const difference = largestDifference(
    await logitsOf(prepared, batch, model.output.name),
    await logitsOf(original, batch, model.output.name),
  );
  await Promise.all([prepared.close(), original.close()]);
  const ratio = medianRatio(times.prepared, times.published);
  return [
    { name: 'classifier, prepared / published', value: ratio, unit: 'x', aim: { atMost: 0.7 } },
    {
      name: 'their outputs differ, relative to the largest',
      value: difference,
      unit: '',
      aim: { atMost: 1e-5 },
    },
  ];
};

/** Four squares of the selfie, each smaller than the previous one, as model input. */
async function cutViews(selfie: Buffer, input: ModelInput): Promise<Float32Array> {
  const { batch, images } = allocateBatch(input, VIEWS);
  for (const [i, image] of images.entries()) {
    const size = 500 - 80 * i;
    const pixels = await sharp(selfie)
      .extract({ left: 40 * i, top: 60 * i, width: size, height: size })
      .resize(input.width, input.height)
      .raw()
      .toBuffer();
    for (const [channel, { values, subtract, multiply }] of planesOf(image).entries()) {
      for (let at = 0; at < values.length; at++)
        values[at] = (pixels[3 * at + channel]! - subtract) * multiply;
    }
  }
  return batch;
}

async function timeRun(session: ModelSession, batch: Float32Array): Promise<number> {
  const started = performance.now();
  await session.run(batch);
  return performance.now() - started;
}

async function logitsOf(session: ModelSession, batch: Float32Array, output: string) {
  return (await session.run(batch))[output]!.values;
}

function largestDifference(values: Float32Array, others: Float32Array): number {
  const differences = values.map((value, i) => Math.abs(value - others[i]!));
  return Math.max(...differences) / Math.max(...others.map(Math.abs));
}

/** The default settings, and variants that each change one of them. */
const VARIANTS: Record<string, Record<string, string>> = {
  default: {},
  '1 engine x 1 thread': { LIVEGATE_ENGINES: '1', LIVEGATE_INTRA_OP_THREADS: '1' },
  '1 engine x 2 threads': { LIVEGATE_ENGINES: '1', LIVEGATE_INTRA_OP_THREADS: '2' },
  '2 engines x 2 threads': { LIVEGATE_ENGINES: '2', LIVEGATE_INTRA_OP_THREADS: '2' },
  '4 engines x 1 thread': { LIVEGATE_ENGINES: '4', LIVEGATE_INTRA_OP_THREADS: '1' },
  'batch of 1': { LIVEGATE_MAX_BATCH: '1' },
  'batch of 4': { LIVEGATE_MAX_BATCH: '4' },
  'batch of 8': { LIVEGATE_MAX_BATCH: '8' },
  'batch of 4, linger 3 ms': { LIVEGATE_MAX_BATCH: '4', LIVEGATE_LINGER_MS: '3' },
  '2 concurrent images': { LIVEGATE_CONCURRENCY: '2' },
  '4 concurrent images': { LIVEGATE_CONCURRENCY: '4' },
  '8 concurrent images': { LIVEGATE_CONCURRENCY: '8' },
};

/** Measures the effect of each engine setting on this machine, without HTTP and Redis. */
export const measureEngineSettings: Part = async (bench, say) => {
  const measurements = Object.entries(VARIANTS).map(
    ([name, env]) => [name, () => measureVariant(bench, env)] as const,
  );
  const measured = await interleave<string, Loads>(bench.rounds, Object.fromEntries(measurements));
  const header = ['selfie, in process', 'images/s', 'p50 ms', 'p99 ms', 'p50 ms of one caller'];
  say(formatTable(header, Object.entries(measured).map(describeVariant)));
  return [];
};

interface Loads {
  crowd: Rate;
  one: Rate;
}

async function measureVariant(bench: Bench, env: Record<string, string>): Promise<Loads> {
  const { selfie } = bench.photos;
  // The same concurrency for all variants but the last three, so that only one setting changes.
  const settings = { ...bench.env, LIVEGATE_CONCURRENCY: '16', ...env };
  const pipeline = await openPipeline(readWorkerConfig(settings));
  const load = (concurrency: number) =>
    repeatWork(() => pipeline.assess(selfie), { concurrency, seconds: bench.seconds / 2 });
  const many = Number(settings.LIVEGATE_CONCURRENCY);
  // The code of a new engine thread is slow until V8 has optimized it.
  await load(many);
  const crowd = await load(many);
  const one = await load(1);
  await pipeline.close();
  return { crowd, one };
}

function describeVariant([name, rounds]: [string, Loads[]]): string[] {
  const latencies = rounds.flatMap(({ crowd }) => crowd.latenciesMs);
  const alone = rounds.flatMap(({ one }) => one.latenciesMs);
  const figures = [
    median(rounds.map(({ crowd }) => crowd.perSecond)),
    percentile(latencies, 0.5),
    percentile(latencies, 0.99),
    percentile(alone, 0.5),
  ];
  return [name, ...figures.map(formatNumber)];
}

/** Measures how the throughput depends on the image. */
export const measurePhotoSizes: Part = async (bench, say) => {
  const { selfie: portrait, closeUp: near, phone, frame, sizes } = bench.photos;
  const photos = [{ name: 'selfie', jpeg: portrait }, { name: 'close-up', jpeg: near }, ...sizes];
  const rows = [];
  for (const photo of photos) rows.push({ ...photo, ...(await measurePhoto(bench, photo.jpeg)) });
  const lines = rows.map(({ name, jpeg, views, perSecond, p50Ms }) => [
    name,
    ...[jpeg.length / 1024, views, perSecond, p50Ms].map(formatNumber),
  ]);
  say(formatTable(['in process, saturated', 'KiB', 'views', 'images/s', 'p50 ms'], lines));
  const rates = await interleave(Math.max(5, bench.rounds), {
    phone: () => measureRate(bench, phone),
    frame: () => measureRate(bench, frame),
  });
  const name = 'throughput, phone photo of 12 MP / frame of 720x480';
  return [{ name, value: medianRatio(rates.phone, rates.frame), unit: 'x', aim: { atLeast: 0.3 } }];
};

async function measurePhoto({ pipeline, modelsDir, seconds }: Bench, jpeg: Buffer) {
  const { concurrency } = pipeline;
  const rate = await repeatWork(() => pipeline.assess(jpeg), { concurrency, seconds });
  const views = await countViews(modelsDir, jpeg);
  return { views, perSecond: rate.perSecond, p50Ms: percentile(rate.latenciesMs, 0.5) };
}

async function measureRate({ pipeline, seconds }: Bench, jpeg: Buffer): Promise<number> {
  const { concurrency } = pipeline;
  const rate = await repeatWork(() => pipeline.assess(jpeg), { concurrency, seconds });
  return rate.perSecond;
}
