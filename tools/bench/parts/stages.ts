import { inspectHeader } from '@livegate/core/domain';
import { readWorkerConfig, toSchedulerConfig } from '@livegate/worker/config';
import { countCpus } from '@livegate/worker/engine/count-cpus';
import { type Engine, openEngine } from '@livegate/worker/engine/open-engine';
import { createDecodeImage } from '@livegate/worker/inference/decode/decode-image';
import type { Picture } from '@livegate/worker/inference/picture';
import { loadModels } from '@livegate/worker/models/load-models';
import { formatTable } from '../../format-table.js';
import { type Bench, formatNumber, type Part } from '../bench.js';
import { interleave, median, medianRatio, repeatWork } from '../rounds.js';

/** Batches in each engine: one runs, the next waits in the thread. */
const IN_FLIGHT = 2;

/**
 * Measures the throughput of the models alone (empty tensors), with frames and crops (decoded
 * pictures), and of the whole pipeline (JPEG files). On an accelerator, the difference is time for
 * which it idles.
 */
export const measureStages: Part = async (bench, say) => {
  const { layout, photos, pipeline, seconds, rounds } = bench;
  const picture = await decode(photos.selfie);
  const engines = await openAll(bench);
  const counts = listCounts(layout.engines);
  const decoded = `decoded, ${layout.engines} engines`;
  const alone = `models, ${layout.engines} engines`;
  const measurements = counts.flatMap((count) => [
    [`models, ${count} engines`, () => runAll(engines.slice(0, count), bench)] as const,
    [`decoded, ${count} engines`, () => runAll(engines.slice(0, count), bench, picture)] as const,
  ]);
  const { concurrency } = pipeline;
  const rates = await interleave<string, number>(rounds, {
    ...Object.fromEntries(measurements),
    JPEG: async () => {
      const rate = await repeatWork(() => pipeline.assess(photos.selfie), { concurrency, seconds });
      return rate.perSecond;
    },
  });
  await Promise.all(engines.map((engine) => engine.close()));
  const lines = Object.entries(rates).map(([name, values]) => [name, formatNumber(median(values))]);
  say(formatTable([`selfie, batches of ${layout.maxBatch}`, 'images/s'], lines));
  return [
    ['throughput, decoded pictures / models alone', rates[decoded]!, rates[alone]!] as const,
    ['throughput, JPEG files / decoded pictures', rates['JPEG']!, rates[decoded]!] as const,
  ].map(([name, over, under]) => ({ name, value: medianRatio(over, under), unit: 'x' }));
};

/** 1, 2, 4 … and all engines. */
function listCounts(engines: number): number[] {
  const powers = Array.from({ length: engines }, (_, power) => 2 ** power);
  return [...powers.filter((count) => count < engines), engines];
}

async function decode(jpeg: Buffer): Promise<Picture> {
  return await createDecodeImage(countCpus())(jpeg, inspectHeader(jpeg, 1e7));
}

/** The engines of the layout, without the pipeline around them. */
async function openAll({ env, modelsDir, layout }: Bench): Promise<Engine[]> {
  const { faceScoreThreshold, minFaceRatio, executionProvider, devices } = toSchedulerConfig(
    readWorkerConfig({ ...process.env, ...env }),
    { profile: 'default' },
  );
  const models = await loadModels(modelsDir);
  const { intraOpThreads, maxBatch } = layout;
  const shared = { models, executionProvider, faceScoreThreshold, minFaceRatio };
  const engines = Array.from({ length: layout.engines }, async (_, index) => {
    const deviceId = index % devices;
    const engine = await openEngine({ ...shared, intraOpThreads, maxBatch, deviceId });
    await engine.warmUp(maxBatch);
    return engine;
  });
  return await Promise.all(engines);
}

/** Images per second of these engines: of copies of the picture, or else of empty tensors. */
async function runAll(engines: Engine[], { layout, seconds }: Bench, picture?: Picture) {
  const { maxBatch } = layout;
  const copies = (of: Picture) =>
    Array.from({ length: maxBatch }, () => ({ ...of, pixels: new Uint8Array(of.pixels) }));
  const run = (engine: Engine) =>
    picture ? engine.assess(copies(picture)) : engine.runEmpty(maxBatch);
  const rates = await Promise.all(
    engines.map((engine) => repeatWork(() => run(engine), { concurrency: IN_FLIGHT, seconds })),
  );
  return maxBatch * rates.reduce((sum, { perSecond }) => sum + perSecond, 0);
}
