import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { connectForBackground } from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import type { Service } from '../dev/processes.js';
import type { Bench } from './bench.js';

/** Moves a running worker, or what it is compared with, to its cores. */
export type MoveWorker = (service: Service) => void;

/**
 * Runs a measurement as in a cluster: workers get half of the cores; gateways, Redis and callers get
 * the other half. `measure` gets a layout of one engine for each core. Needs taskset, so Linux only.
 */
export async function withOwnCores<Result>(
  bench: Bench,
  measure: (bench: Bench, moveWorker: MoveWorker) => Promise<Result>,
): Promise<Result> {
  const cores = availableParallelism();
  const half = Math.max(1, Math.floor(cores / 2));
  const [own, others] = [`0-${half - 1}`, `${cores - half}-${cores - 1}`];
  const halved = { ...bench, env: { ...bench.env, LIVEGATE_ENGINES: `${half}` } };
  const shared = [process.pid, await redisPid(bench)];
  for (const pid of shared) moveTo(others, pid);
  try {
    return await measure(halved, ({ process: { pid } }) => moveTo(own, pid!));
  } finally {
    for (const pid of shared) moveTo(`0-${cores - 1}`, pid);
  }
}

/** Moves all present and future threads of a process. */
function moveTo(cores: string, pid: number): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, `${pid}`]);
}

async function redisPid({ env }: Bench): Promise<number> {
  const address = { url: env['REDIS_URL']!, name: 'bench' };
  const redis = connectForBackground(address, createLog('api', 'fatal'));
  const server = await redis.info('server');
  redis.disconnect();
  return Number(/^process_id:(\d+)/m.exec(server)?.[1]);
}
