import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connectForBackground, type Redis } from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import { type Service, stopServices } from '../../dev/processes.js';
import { formatTable } from '../../format-table.js';
import { type Bench, formatNumber, type Part } from '../bench.js';
import { readUsage, sendLoad, startProduct, startWatched } from '../product.js';
import { interleave, median } from '../rounds.js';
import { readRedisUsage } from './gateways.js';

/** An engine that takes as long for an image as two cores do, in a thread that sleeps. */
const RUN_MS = 12;
const WORKER = ['tools/dist/bench/programs/double-worker.js', '1', `${RUN_MS}`, '0'];
/** V8 optimizes the code for some 5000 checks; until then each costs more. */
const WARM_UP_SECONDS = 60;
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
 * Measures the CPU time of a check outside the pipeline, beside that of a bare BullMQ job of the same
 * size: a process that adds it, one that takes it, and Redis. Log lines are written, but not shown.
 */
export const measureOverhead: Part = async (bench, say) => {
  const redis = connectForBackground(
    { url: bench.env['REDIS_URL']!, name: 'bench' },
    createLog('api', 'fatal'),
  );
  const logged = { env: { LIVEGATE_LOG_LEVEL: 'info' }, output: 'ignore' as const };
  const product = await startProduct(bench, { worker: WORKER, ...logged });
  const bare = await startBareQueue(bench);
  try {
    const load = { image: bench.photos.selfie, connections: CALLERS };
    const sendChecks = async (seconds: number) =>
      (await sendLoad(product.urls[0]!, { ...load, seconds })).latenciesMs.length;
    await Promise.all([sendChecks(WARM_UP_SECONDS), bare.addJobs(WARM_UP_SECONDS)]);
    const costs = await interleave(bench.rounds, {
      check: () =>
        measureCost(redis, [product.gateways[0]!, product.worker], () => sendChecks(bench.seconds)),
      bare: () => measureCost(redis, bare.services, () => bare.addJobs(bench.seconds)),
    });
    const rows = Object.entries({ check: costs.check, 'bare BullMQ job': costs.bare });
    say(
      formatTable(
        ['CPU ms each', 'gateway', 'worker', 'Redis', 'all', 'commands'],
        rows.map(([name, rounds]) => [name, ...describe(rounds)]),
      ),
    );
    const all = (rounds: Cost[]) => median(rounds.map(sumOf));
    return [
      {
        name: 'core-ms per check outside the pipeline',
        value: all(costs.check),
        unit: 'ms',
        aim: { atMost: 3 },
      },
      { name: 'core-ms per bare BullMQ job', value: all(costs.bare), unit: 'ms' },
    ];
  } finally {
    await Promise.all([product.stop(), stopServices(bare.services, 5000)]);
    redis.disconnect();
  }
};

function sumOf({ gatewayMs, workerMs, redisMs }: Cost): number {
  return gatewayMs + workerMs + redisMs;
}

function describe(rounds: Cost[]): string[] {
  const names = ['gatewayMs', 'workerMs', 'redisMs'] as const;
  const parts = names.map((name) => median(rounds.map((cost) => cost[name])));
  const commands = median(rounds.map((cost) => cost.commands));
  return [...parts, median(rounds.map(sumOf)), commands].map(formatNumber);
}

/** `run` resolves to the number of checks or jobs that it ran. */
async function measureCost(
  redis: Redis,
  [gateway, worker]: [gateway: Service, worker: Service],
  run: () => Promise<number>,
): Promise<Cost> {
  const read = () =>
    Promise.all([readUsage(gateway), readUsage(worker), readRedisUsage(redis)] as const);
  const before = await read();
  const count = await run();
  const after = await read();
  return {
    gatewayMs: (after[0].cpuMs - before[0].cpuMs) / count,
    workerMs: (after[1].cpuMs - before[1].cpuMs) / count,
    redisMs: (after[2].cpuMs - before[2].cpuMs) / count,
    commands: (after[2].commands - before[2].commands) / count,
  };
}

async function startBareQueue({ env }: Bench) {
  const prefix = `{bench-${randomUUID()}}`;
  const start = async (side: string) => {
    const service = startWatched([BARE, side, prefix, `${RUN_MS}`], env);
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
