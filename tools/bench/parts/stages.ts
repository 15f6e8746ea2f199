import { inspectHeader } from '@livegate/core/domain';
import { readWorkerConfig, toSchedulerConfig, type WorkerConfig } from '@livegate/worker/config';
import { countCpus } from '@livegate/worker/engine/count-cpus';
import { type Engine, openEngine } from '@livegate/worker/engine/open-engine';
import { createDecodeImage } from '@livegate/worker/inference/decode/decode-image';
import type { Picture } from '@livegate/worker/inference/picture';
import { loadModels } from '@livegate/worker/models/load-models';
import { formatTable } from '../../format-table.js';
import { type Bench, formatNumber, type Part } from '../bench.js';
import { sendLoad, startProduct } from '../product.js';
import { interleave, median, medianRatio, percentile, type Rate, repeatWork } from '../rounds.js';
import { watchGpu } from '../watch-gpu.js';

/** Batches in each engine: one runs, the next waits in the thread. */
const IN_FLIGHT = 2;
const DEVICE_ENGINES = [1, 2, 4, 8];
const DEVICE_BATCHES = [4, 16, 32];
/** On an accelerator, one gateway carries less than the workers. */
const DEVICE_GATEWAYS = 4;
const DEVICE_WORKERS = [1, 2, 3];
const CALLERS_PER_GATEWAY = 48;

/**
 * Measures the throughput of the models alone (empty tensors), with frames and crops (decoded
 * pictures), of the whole pipeline (JPEG files) and over HTTP. On an accelerator, the differences are
 * time for which it idles; it is measured there with several engines, batches and workers.
 */
export const measureStages: Part = async (bench, say) => {
  const config = readWorkerConfig({ ...process.env, ...bench.env });
  const isCpu = config.LIVEGATE_EXECUTION_PROVIDER === 'cpu';
  const { layout, photos } = bench;
  const batches = isCpu ? [layout.maxBatch] : [...new Set([...DEVICE_BATCHES, layout.maxBatch])];
  const counts = isCpu ? [layout.engines] : DEVICE_ENGINES;
  const picture = await decode(photos.selfie);
  const stages: Stage[] = [];
  // At once: a GPU may be lent for minutes.
  const report = (measured: Stage[]) => {
    say(formatTable(['selfie', 'images/s', 'p50 ms', 'p99 ms', 'GPU %'], measured.map(describe)));
    stages.push(...measured);
  };
  for (const batch of batches) report(await sweep({ bench, config, picture, batch, counts }));
  for (const workers of isCpu ? [1] : DEVICE_WORKERS) {
    report(await measureHttp(bench, { workers, gateways: isCpu ? 1 : DEVICE_GATEWAYS }));
  }
  return compare(stages, layout);
};

interface Stage {
  name: string;
  rates: Rate[];
  /** The share of time (0..1) in which the accelerator ran a kernel, if it can be read. */
  gpuBusy: number | undefined;
}

/** Measures in turns, after one round that is not counted. */
async function measure(
  { rounds }: Bench,
  works: Record<string, () => Promise<Rate>>,
): Promise<Stage[]> {
  for (const work of Object.values(works)) await work();
  const shares: Record<string, (number | undefined)[]> = {};
  const watched = Object.entries(works).map(([name, work]) => {
    const measureOnce = async () => {
      const gpu = watchGpu();
      const rate = await work();
      (shares[name] ??= []).push(await gpu.stop());
      return rate;
    };
    return [name, measureOnce] as const;
  });
  const measured = await interleave<string, Rate>(rounds, Object.fromEntries(watched));
  return Object.entries(measured).map(([name, rates]) => {
    const busy = shares[name]!.filter((share) => share !== undefined);
    return { name, rates, gpuBusy: busy.length > 0 ? median(busy) : undefined };
  });
}

interface Sweep {
  bench: Bench;
  config: WorkerConfig;
  picture: Picture;
  batch: number;
  /** Numbers of engines, the largest last. */
  counts: number[];
}

/** Measures one batch size, because engines prepare their tensors for one. */
async function sweep({ bench, config, picture, batch, counts }: Sweep): Promise<Stage[]> {
  const engines = await openAll(bench, config, { engines: counts.at(-1)!, batch });
  const { layout, photos, pipeline, seconds } = bench;
  const works: Record<string, () => Promise<Rate>> = {};
  for (const count of counts) {
    const some = engines.slice(0, count);
    works[`models alone, ${nameLayout(count, batch)}`] = () => runAll(some, { batch, seconds });
    works[`decoded, ${nameLayout(count, batch)}`] = () => runAll(some, { batch, seconds, picture });
  }
  if (batch === layout.maxBatch) {
    const { concurrency } = pipeline;
    works[`JPEG, ${nameLayout(layout.engines, batch)}`] = () =>
      repeatWork(() => pipeline.assess(photos.selfie), { concurrency, seconds });
  }
  const stages = await measure(bench, works);
  await Promise.all(engines.map((engine) => engine.close()));
  return stages;
}

function nameLayout(engines: number, batch: number): string {
  return `${engines} x ${batch}`;
}

async function decode(jpeg: Buffer): Promise<Picture> {
  return await createDecodeImage(countCpus())(jpeg, inspectHeader(jpeg, 1e7));
}

/** Engines as the worker opens them, without the pipeline around them. */
async function openAll(
  { modelsDir, layout }: Bench,
  config: WorkerConfig,
  { engines, batch: maxBatch }: { engines: number; batch: number },
): Promise<Engine[]> {
  const { faceScoreThreshold, minFaceRatio, executionProvider, devices } = toSchedulerConfig(
    config,
    { profile: 'default' },
  );
  const models = await loadModels(modelsDir);
  const { intraOpThreads } = layout;
  const shared = { models, executionProvider, faceScoreThreshold, minFaceRatio };
  const open = Array.from({ length: engines }, async (_, index) => {
    const deviceId = index % devices;
    const engine = await openEngine({ ...shared, intraOpThreads, maxBatch, deviceId });
    await engine.warmUp(maxBatch);
    return engine;
  });
  return await Promise.all(open);
}

/** The rate of these engines together: of copies of the picture, or else of empty tensors. */
async function runAll(
  engines: Engine[],
  { batch, seconds, picture }: { batch: number; seconds: number; picture?: Picture },
): Promise<Rate> {
  const copies = (of: Picture) =>
    Array.from({ length: batch }, () => ({ ...of, pixels: new Uint8Array(of.pixels) }));
  const run = (engine: Engine) =>
    picture ? engine.assess(copies(picture)) : engine.runEmpty(batch);
  const rates = await Promise.all(
    engines.map((engine) => repeatWork(() => run(engine), { concurrency: IN_FLIGHT, seconds })),
  );
  return { perSecond: batch * sumRates(rates), latenciesMs: [] };
}

async function measureHttp(
  bench: Bench,
  { workers, gateways }: { workers: number; gateways: number },
): Promise<Stage[]> {
  const started = performance.now();
  const product = await startProduct(bench, { workers, gateways });
  const readyS = (performance.now() - started) / 1000;
  const load = { image: bench.photos.selfie, seconds: bench.seconds, mayRefuse: true };
  const send = (connections: number) => async (): Promise<Rate> => {
    const rates = await Promise.all(
      product.urls.map((url) => sendLoad(url, { ...load, connections })),
    );
    const latenciesMs = rates.flatMap((rate) => rate.latenciesMs);
    return { perSecond: sumRates(rates), latenciesMs };
  };
  const name = `HTTP, workers: ${workers} (ready in ${formatNumber(readyS)} s)`;
  try {
    const one = () => sendLoad(product.urls[0]!, { ...load, connections: 1 });
    return await measure(bench, {
      [name]: send(CALLERS_PER_GATEWAY),
      ...(workers === 1 && { 'HTTP, one caller': one }),
    });
  } finally {
    await product.stop();
  }
}

function sumRates(rates: Rate[]): number {
  return rates.reduce((sum, { perSecond }) => sum + perSecond, 0);
}

function describe({ name, rates, gpuBusy }: Stage): string[] {
  const latencies = rates.flatMap(({ latenciesMs }) => latenciesMs);
  const times = [0.5, 0.99].map((share) => percentile(latencies, share));
  const cells = latencies.length > 0 ? times.map(formatNumber) : ['', ''];
  const gpu = gpuBusy === undefined ? '' : formatNumber(100 * gpuBusy);
  return [name, formatNumber(median(listRates(rates))), ...cells, gpu];
}

function listRates(rates: Rate[]): number[] {
  return rates.map((rate) => rate.perSecond);
}

/** What each stage leaves of the one before, with the layout of the worker. */
function compare(stages: Stage[], { engines, maxBatch }: Bench['layout']) {
  const layout = nameLayout(engines, maxBatch);
  const of = (start: string) => stages.find(({ name }) => name.startsWith(start));
  const named = {
    'models alone': of(`models alone, ${layout}`),
    'decoded pictures': of(`decoded, ${layout}`),
    'JPEG files': of('JPEG'),
  };
  const entries = Object.entries(named);
  return entries.slice(1).flatMap(([name, stage], i) => {
    const [before, other] = entries[i]!;
    if (!stage || !other) return [];
    const value = medianRatio(listRates(stage.rates), listRates(other.rates));
    return [{ name: `throughput, ${name} / ${before}`, value, unit: 'x' }];
  });
}
