import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connectForBackground, type Redis } from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import { type Service, stopServices } from '../../dev/processes.js';
import { formatTable } from '../../format-table.js';
import { type Bench, type Figure, formatNumber, type Part } from '../bench.js';
import {
  readUsage,
  sendLoad,
  startProduct,
  startTextbookQueue,
  startWatched,
  WARM_UP_SECONDS,
} from '../product.js';
import { interleave, median, medianRatio } from '../rounds.js';
import { readRedisUsage } from './gateways.js';

/**
 * Times of the engine for an image, in a thread that sleeps: what two cores take, and a worker with a
 * GPU (docs/explanation/performance.md). The more checks in a second, the less each costs.
 */
const RUNS_MS = [12, 4];
/** Callers: enough to keep the engine busy. */
const CALLERS = 16;
const BARE = 'tools/dist/bench/programs/bare-queue.js';

/** CPU time and commands, by process. */
interface Cost {
  gatewayMs: number;
  workerMs: number;
  redisMs: number;
  commands: number;
}

/**
 * Measures the CPU time of a check outside the pipeline, beside that of what it is built from, with data
 * of the same size: the textbook queue in two forms, and a bare BullMQ job, which one process adds and
 * one takes. Log lines are written, but not shown.
 */
export const measureOverhead: Part = async (bench, say) => {
  const figures: Figure[] = [];
  for (const runMs of RUNS_MS) {
    const costs = await measureCosts(bench, runMs);
    say(`engine of ${runMs} ms`);
    say(describeCosts(costs));
    figures.push(...compareCosts(costs, runMs));
  }
  return figures;
};

/** The costs of each round, in turns. */
async function measureCosts(bench: Bench, runMs: number): Promise<Record<string, Cost[]>> {
  const redis = connectForBackground(
    { url: bench.env['REDIS_URL']!, name: 'bench' },
    createLog('api', 'fatal'),
  );
  const { runs, stop } = await startAll(bench, runMs);
  try {
    await Promise.all(Object.values(runs).map(({ run }) => run(WARM_UP_SECONDS)));
    const measurements = Object.entries(runs).map(
      ([name, run]) => [name, () => measureCost(redis, run, bench.seconds)] as const,
    );
    return await interleave(bench.rounds, Object.fromEntries(measurements));
  } finally {
    await stop();
    redis.disconnect();
  }
}

async function startAll(bench: Bench, runMs: number) {
  const worker = ['tools/dist/bench/programs/double-worker.js', '1', `${runMs}`, '0'];
  const logged = { env: { LIVEGATE_LOG_LEVEL: 'info' }, output: 'ignore' as const };
  const product = await startProduct(bench, { worker, ...logged });
  const plain = await startTextbookQueue(bench, { form: 'plain', runMs });
  const lean = await startTextbookQueue(bench, { form: 'lean', runMs });
  const bare = await startBareQueue(bench, runMs);
  const sendTo = (url: string) => async (seconds: number) => {
    const load = { image: bench.photos.selfie, connections: CALLERS, seconds };
    return (await sendLoad(url, load)).latenciesMs.length;
  };
  const runs: Record<string, Run> = {
    check: { services: [product.gateways[0]!, product.worker], run: sendTo(product.urls[0]!) },
    'textbook queue': { services: plain.services, run: sendTo(plain.url) },
    'textbook queue, lean': { services: lean.services, run: sendTo(lean.url) },
    'bare BullMQ job': { services: bare.services, run: bare.addJobs },
  };
  const stop = async () => {
    const stopBare = stopServices(bare.services, 5000);
    await Promise.all([product.stop(), plain.stop(), lean.stop(), stopBare]);
  };
  return { runs, stop };
}

/** `run` resolves to the number of checks or jobs that ran in `seconds`. */
interface Run {
  services: [gateway: Service, worker: Service];
  run(seconds: number): Promise<number>;
}

function describeCosts(costs: Record<string, Cost[]>): string {
  return formatTable(
    ['CPU ms each', 'gateway', 'worker', 'Redis', 'all', 'commands'],
    Object.entries(costs).map(([name, rounds]) => [name, ...describe(rounds)]),
  );
}

function compareCosts(costs: Record<string, Cost[]>, runMs: number): Figure[] {
  const all = (of: string) => costs[of]!.map(sumOf);
  const engine = `, engine of ${runMs} ms`;
  const figure = (name: string, of: string) => {
    return { name: `core-ms per ${name}${engine}`, value: median(all(of)), unit: 'ms' };
  };
  const ratio = (under: string) => ({
    name: `core-ms per check, Livegate / ${under}${engine}`,
    value: medianRatio(all('check'), all(under)),
    unit: 'x',
  });
  const rivals = ['textbook queue', 'textbook queue, lean'];
  return [
    { ...figure('check outside the pipeline', 'check'), aim: { atMost: 3 } },
    ...rivals.map((rival) => figure(`check of the ${rival}`, rival)),
    figure('bare BullMQ job', 'bare BullMQ job'),
    ...rivals.map(ratio),
  ];
}

function sumOf({ gatewayMs, workerMs, redisMs }: Cost): number {
  return gatewayMs + workerMs + redisMs;
}

function describe(rounds: Cost[]): string[] {
  const names = ['gatewayMs', 'workerMs', 'redisMs'] as const;
  const parts = names.map((name) => median(rounds.map((cost) => cost[name])));
  const commands = median(rounds.map((cost) => cost.commands));
  return [...parts, median(rounds.map(sumOf)), commands].map(formatNumber);
}

async function measureCost(
  redis: Redis,
  { services: [gateway, worker], run }: Run,
  seconds: number,
): Promise<Cost> {
  const read = () =>
    Promise.all([readUsage(gateway), readUsage(worker), readRedisUsage(redis)] as const);
  const before = await read();
  const count = await run(seconds);
  const after = await read();
  return {
    gatewayMs: (after[0].cpuMs - before[0].cpuMs) / count,
    workerMs: (after[1].cpuMs - before[1].cpuMs) / count,
    redisMs: (after[2].cpuMs - before[2].cpuMs) / count,
    commands: (after[2].commands - before[2].commands) / count,
  };
}

async function startBareQueue({ env }: Bench, runMs: number) {
  const prefix = `{bench-${randomUUID()}}`;
  const start = async (side: string) => {
    const service = startWatched([BARE, side, prefix, `${runMs}`], env);
    await once(service.process, 'message');
    return service;
  };
  const [adder, taker] = await Promise.all([start('add'), start('work')]);
  return {
    services: [adder, taker] satisfies [Service, Service],
    async addJobs(seconds: number): Promise<number> {
      const ended = once(adder.process, 'message') as Promise<[{ added: number }]>;
      adder.process.send({ seconds });
      return (await ended)[0].added;
    },
  };
}
