import { readWorkerConfig } from '@livegate/worker/config';
import { formatTable } from '../format-table.js';
import { openPipeline } from '../open-pipeline.js';
import type { Bench, Part } from './bench.js';
import { formatNumber } from './figure.js';
import { interleave, median, percentile, repeatWork, type Rate } from './rounds.js';

/** The default, and one knob turned at a time. */
const VARIANTS: Record<string, Record<string, string>> = {
  default: {},
  '1 engine x 1 thread': { LIVEGATE_ENGINES: '1', LIVEGATE_INTRA_OP_THREADS: '1' },
  '1 engine x 2 threads': { LIVEGATE_ENGINES: '1', LIVEGATE_INTRA_OP_THREADS: '2' },
  '2 engines x 2 threads': { LIVEGATE_ENGINES: '2', LIVEGATE_INTRA_OP_THREADS: '2' },
  '4 engines x 1 thread': { LIVEGATE_ENGINES: '4', LIVEGATE_INTRA_OP_THREADS: '1' },
  'batch of 2': { LIVEGATE_MAX_BATCH: '2' },
  'batch of 4': { LIVEGATE_MAX_BATCH: '4' },
  'batch of 8': { LIVEGATE_MAX_BATCH: '8' },
  'batch of 4, linger 3 ms': { LIVEGATE_MAX_BATCH: '4', LIVEGATE_LINGER_MS: '3' },
  '2 images in work': { LIVEGATE_CONCURRENCY: '2' },
  '4 images in work': { LIVEGATE_CONCURRENCY: '4' },
  '8 images in work': { LIVEGATE_CONCURRENCY: '8' },
};

/** What each knob of the engines does on this machine, in the pipeline without HTTP and Redis. */
export const measureKnobs: Part = async (bench, say) => {
  const measurements = Object.entries(VARIANTS).map(
    ([name, env]) => [name, () => measure(bench, env)] as const,
  );
  const measured = await interleave<string, Loads>(bench.rounds, Object.fromEntries(measurements));
  const header = ['selfie, in process', 'images/s', 'p50 ms', 'p99 ms', 'p50 ms of one caller'];
  say(formatTable(header, Object.entries(measured).map(describe)));
  return [];
};

interface Loads {
  crowd: Rate;
  one: Rate;
}

async function measure(bench: Bench, env: Record<string, string>): Promise<Loads> {
  const { selfie } = bench.photos;
  // The same number in work for all but the last, or a smaller batch would also have fewer at hand.
  const settings = { ...bench.env, LIVEGATE_CONCURRENCY: '16', ...env };
  const pipeline = await openPipeline(readWorkerConfig(settings));
  const load = (concurrency: number) =>
    repeatWork(() => pipeline.assess(selfie), { concurrency, seconds: bench.seconds / 2 });
  const crowd = await load(Number(settings.LIVEGATE_CONCURRENCY));
  const one = await load(1);
  await pipeline.close();
  return { crowd, one };
}

function describe([name, rounds]: [string, Loads[]]): string[] {
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
