import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Catalogue, OWN_FILE } from '@livegate/worker/models/catalogue';
import { readCatalogue } from '@livegate/worker/models/load-models';
import { ROLLOUT_FILE } from '@livegate/worker/models/rollout';
import { formatTable } from '../../format-table.js';
import { type Bench, formatNumber, type Part } from '../bench.js';
import { type Product, sendLoad, startProduct } from '../product.js';
import { interleave, median, medianRatio, percentile, type Rate } from '../rounds.js';

/** Callers that keep every engine busy, and a share of that rate at which a worker is not full. */
const SATURATING = 16;
const USUAL_SHARE = 0.6;
/** A new version of the default profile, which costs as much. */
const NEXT = 'next';

/**
 * Measures what callers notice of model swaps: one swap after another, so that all checks of a
 * measurement are checks during a swap. Rejects if an answer is not 200.
 */
export const measureSwap: Part = async (bench, say) => {
  const modelsDir = await copyWithNext(bench.modelsDir);
  const product = await startProduct(bench, { env: { LIVEGATE_MODELS_DIR: modelsDir } });
  try {
    const [url, image] = [product.urls[0]!, bench.photos.selfie];
    const { seconds } = bench;
    const most = { image, connections: SATURATING, seconds };
    const { perSecond } = await sendLoad(url, most);
    const usual = { ...most, perSecond: USUAL_SHARE * perSecond };
    const swapMs: number[] = [];
    const duringSwaps = async (load: Promise<Rate>) => {
      swapMs.push(...(await swapUntil(load, product, modelsDir)));
      return await load;
    };
    const rates = await interleave<string, Rate>(bench.rounds, {
      'usual load': () => sendLoad(url, usual),
      'usual load, swaps': () => duringSwaps(sendLoad(url, usual)),
      saturated: () => sendLoad(url, most),
      'saturated, swaps': () => duringSwaps(sendLoad(url, most)),
    });
    say(describeRates(rates));
    say(`${swapMs.length} swaps, ${formatNumber(median(swapMs) / 1000)} s each (median)`);
    return compareLatencies(rates);
  } finally {
    await product.stop();
    await rm(modelsDir, { recursive: true });
  }
};

async function copyWithNext(from: Bench['modelsDir']): Promise<string> {
  const modelsDir = await mkdtemp(join(tmpdir(), 'livegate-bench-models-'));
  await cp(from, modelsDir, { recursive: true });
  const { models, profiles } = await readCatalogue(modelsDir);
  const now = profiles['default']!;
  const classifiers = now.classifiers.map((one) => ({ ...one, model: `${one.model}-${NEXT}` }));
  const next = now.classifiers.map(({ model }) => {
    const entry = models[model]!;
    return [`${model}-${NEXT}`, { ...entry, version: `${entry.version}-${NEXT}` }] as const;
  });
  const own: Catalogue = {
    format: 'livegate-catalogue/1',
    models: Object.fromEntries(next),
    profiles: { [NEXT]: { ...now, classifiers } },
  };
  await writeFile(join(modelsDir, OWN_FILE), JSON.stringify(own));
  return modelsDir;
}

/** Swaps to and fro until the load ends. Resolves to the duration of each swap in milliseconds. */
async function swapUntil(
  load: Promise<unknown>,
  { worker, urls }: Product,
  modelsDir: string,
): Promise<number[]> {
  let isOver = false;
  const ended = () => (isOver = true);
  load.then(ended, ended);
  const swapMs: number[] = [];
  let isNext = (await readModel(urls[0]!)).includes(NEXT);
  while (!isOver) {
    isNext = !isNext;
    const started = performance.now();
    const rollout = { profile: isNext ? NEXT : 'default' };
    await writeFile(join(modelsDir, ROLLOUT_FILE), JSON.stringify(rollout));
    worker.process.kill('SIGHUP');
    while ((await readModel(urls[0]!)).includes(NEXT) !== isNext) await sleep(50);
    swapMs.push(performance.now() - started);
  }
  return swapMs;
}

async function readModel(url: string): Promise<string> {
  const response = await fetch(`${url}/v1/models`);
  return await response.text();
}

function describeRates(rates: Record<string, Rate[]>): string {
  const lines = Object.entries(rates).map(([name, rounds]) => {
    const at = (share: number) =>
      median(rounds.map(({ latenciesMs }) => percentile(latenciesMs, share)));
    const perSecond = median(rounds.map((round) => round.perSecond));
    return [name, ...[perSecond, at(0.5), at(0.99)].map(formatNumber)];
  });
  return formatTable(['', 'images/s', 'p50 ms', 'p99 ms'], lines);
}

function compareLatencies(rates: Record<string, Rate[]>) {
  const p99 = (name: string) => rates[name]!.map((rate) => percentile(rate.latenciesMs, 0.99));
  return ['usual load', 'saturated'].map((name) => ({
    name: `p99 during swaps / without, ${name}`,
    value: medianRatio(p99(`${name}, swaps`), p99(name)),
    unit: 'x',
    aim: { atMost: 1.5 },
  }));
}
