import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { connectForBackground } from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import type { Service } from '../dev/processes.js';
import type { Bench } from './bench.js';

/** Moves a running service, or what it is compared with, to its cores. */
export type MoveService = (service: Service) => void;

/**
 * Runs a measurement as in a cluster: workers get half of the cores; gateways, Redis and callers get
 * the other half. `measure` gets a layout of one engine for each core. Needs taskset, so Linux only.
 */
export async function withOwnCores<Result>(
  bench: Bench,
  measure: (bench: Bench, moveService: MoveService) => Promise<Result>,
): Promise<Result> {
  const cores = availableParallelism();
  const half = Math.max(1, Math.floor(cores / 2));
  const [own, others] = [`0-${half - 1}`, `${cores - half}-${cores - 1}`];
  const halved = { ...bench, env: { ...bench.env, LIVEGATE_ENGINES: `${half}` } };
  return await withCallersOn(others, bench, () => measure(halved, moverTo(own)));
}

/** Runs a measurement with services, Redis and callers all on the first `count` cores. */
export async function withSharedCores<Result>(
  bench: Bench,
  count: number,
  measure: (bench: Bench, moveService: MoveService) => Promise<Result>,
): Promise<Result> {
  const cores = `0-${count - 1}`;
  const shared = { ...bench, env: { ...bench.env, LIVEGATE_ENGINES: `${count}` } };
  return await withCallersOn(cores, bench, () => measure(shared, moverTo(cores)));
}

/** Runs `measure` with the callers, which are in this process, and Redis on their cores. */
async function withCallersOn<Result>(
  cores: string,
  bench: Bench,
  measure: () => Promise<Result>,
): Promise<Result> {
  // Read before, because Node then counts only the cores that this process is left with.
  const all = `0-${availableParallelism() - 1}`;
  const pids = [process.pid, await redisPid(bench)];
  for (const pid of pids) moveTo(cores, pid);
  try {
    return await measure();
  } finally {
    for (const pid of pids) moveTo(all, pid);
  }
}

function moverTo(cores: string): MoveService {
  return ({ process: { pid } }) => moveTo(cores, pid!);
}

/** Moves all present and future threads of a process. */
export function moveTo(cores: string, pid: number): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, `${pid}`]);
}

async function redisPid({ env }: Bench): Promise<number> {
  const address = { url: env['REDIS_URL']!, name: 'bench' };
  const redis = connectForBackground(address, createLog('api', 'fatal'));
  const server = await redis.info('server');
  redis.disconnect();
  return Number(/^process_id:(\d+)/m.exec(server)?.[1]);
}
