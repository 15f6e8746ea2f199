import { readdir, readFile, readlink } from 'node:fs/promises';
import type { Redis } from '@livegate/core/redis';
import { percentile } from '../bench/rounds.js';
import { type Product, readUsage } from '../bench/product.js';
import type { Service } from '../dev/processes.js';
import type { Allowance } from './trend.js';

/** Every measure of a run, and how much it may grow from the first sample to the last. */
export const measures = {
  'gateway RSS, MiB': { share: 0.1, amount: 16 },
  'gateway heap after GC, MiB': { share: 0.1, amount: 4 },
  'gateway sockets': { share: 0.1, amount: 8 },
  'gateway threads': { share: 0, amount: 0.5 },
  'gateway leases': { share: 0.5, amount: 8 },
  'worker RSS, MiB': { share: 0.1, amount: 32 },
  'worker heap after GC, MiB': { share: 0.1, amount: 4 },
  'worker sockets': { share: 0.1, amount: 4 },
  'worker threads': { share: 0, amount: 0.5 },
  'Redis keys': { share: 0.15, amount: 50 },
  'Redis memory, MiB': { share: 0.15, amount: 4 },
  'Redis clients': { share: 0, amount: 2 },
  'p50, ms': { share: 0.5, amount: 20 },
  'p99, ms': { share: 1, amount: 200 },
} satisfies Record<string, Allowance>;

export type Measure = keyof typeof measures;
export type Sample = Record<Measure, number>;

export interface Watched {
  product: Product;
  redis: Redis;
  /** Where the gateway's metrics are. */
  metricsUrl: string;
  takeLatencies: () => number[];
}

/** Reads all measures once. Both processes collect their garbage, which is in the latencies, too. */
export async function takeSample(watched: Watched): Promise<Sample> {
  const { product, redis, metricsUrl } = watched;
  const latencies = watched.takeLatencies();
  const gateway = product.gateways[0]!;
  const [ofGateway, ofWorker] = await Promise.all([
    describeProcess(gateway),
    describeProcess(product.worker),
  ]);
  const info = await redis.info();
  const infoOf = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]);
  return {
    'gateway RSS, MiB': ofGateway.rssMiB,
    'gateway heap after GC, MiB': ofGateway.heapMiB,
    'gateway sockets': ofGateway.sockets,
    'gateway threads': ofGateway.threads,
    'gateway leases': await countLeases(metricsUrl),
    'worker RSS, MiB': ofWorker.rssMiB,
    'worker heap after GC, MiB': ofWorker.heapMiB,
    'worker sockets': ofWorker.sockets,
    'worker threads': ofWorker.threads,
    'Redis keys': await redis.dbsize(),
    'Redis memory, MiB': infoOf('used_memory') / 2 ** 20,
    'Redis clients': infoOf('connected_clients'),
    'p50, ms': percentile(latencies, 0.5),
    'p99, ms': percentile(latencies, 0.99),
  };
}

async function describeProcess(service: Service) {
  const { rssMiB, heapMiB } = await readUsage(service, 'collected');
  const folder = `/proc/${service.process.pid}`;
  return { rssMiB, heapMiB, ...(await readKernel(folder)) };
}

/** Only Linux has these. */
async function readKernel(folder: string): Promise<{ threads: number; sockets: number }> {
  const status = await readFile(`${folder}/status`, 'utf8').catch(() => '');
  const files = await readdir(`${folder}/fd`).catch(() => []);
  // A descriptor may be closed between the listing and the reading of its link.
  const links = files.map((file) => readlink(`${folder}/fd/${file}`).catch(() => ''));
  const sockets = (await Promise.all(links)).filter((link) => link.startsWith('socket:')).length;
  return { threads: Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? 0), sockets };
}

/** Of all kinds. */
export async function countLeases(metricsUrl: string): Promise<number> {
  const text = await (await fetch(metricsUrl)).text();
  const held = [...text.matchAll(/^livegate_lease_held\{.*\} (\d+)/gm)].map(([, n]) => Number(n));
  if (held.length === 0) throw new Error('the metrics have no livegate_lease_held');
  return held.reduce((sum, n) => sum + n);
}
