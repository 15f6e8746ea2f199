import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { findFreePort } from '../dev/ports.js';
import { startService, stopServices, type Service, untilReady } from '../dev/processes.js';
import type { Bench } from './bench.js';
import type { ProcessUsage } from './programs/watch-process.js';

const READY_WITHIN_MS = 60_000;
const GRACE_MS = 30_000;

/** Running gateways and a worker, as in production. */
export interface Product {
  /** One for each gateway. */
  urls: string[];
  gateways: Service[];
  worker: Service;
  stop(): Promise<void>;
}

export interface ProductOptions {
  gateways?: number;
  /** Program and arguments that replace the real worker. */
  worker?: string[];
  env?: Record<string, string>;
}

const WORKER = ['apps/worker/dist/main.js'];

/** Starts gateways and a worker with their own key prefix. Resolves when all gateways are ready. */
export async function startProduct(
  bench: Bench,
  { gateways = 1, worker = WORKER, env = {} }: ProductOptions = {},
): Promise<Product> {
  const shared = { ...bench.env, LIVEGATE_KEY_PREFIX: `{bench-${randomUUID()}}`, ...env };
  const services: Service[] = [];
  const urls: string[] = [];
  const stop = () => stopServices(services, GRACE_MS);
  try {
    for (let i = 0; i < gateways; i++) {
      const port = await findFreePort();
      urls.push(`http://127.0.0.1:${port}`);
      services.push(startWatched(['apps/api/dist/main.js'], { ...shared, PORT: `${port}` }));
    }
    services.push(startWatched(worker, shared));
    await Promise.all(urls.map((url) => untilReady(`${url}/readyz`, READY_WITHIN_MS)));
  } catch (error) {
    await stop();
    throw error;
  }
  return { urls, gateways: services.slice(0, gateways), worker: services.at(-1)!, stop };
}

/** Starts a Node program whose resource usage `readUsage` can read. */
export function startWatched(args: string[], env: Record<string, string>): Service {
  const preload = new URL('./programs/watch-process.js', import.meta.url).href;
  return startService(args[0]!, ['--import', preload, ...args], { ...process.env, ...env });
}

export async function readUsage({ process: child }: Service): Promise<ProcessUsage> {
  const answer = once(child, 'message') as Promise<[ProcessUsage]>;
  child.send('usage');
  return (await answer)[0];
}

/** Starts the design most people write first: see naive-server.ts. */
export async function startNaiveServer({ env }: Bench) {
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const program = 'tools/dist/bench/programs/naive-server.js';
  const service = startWatched([program], { ...env, PORT: `${port}` });
  await untilReady(`${url}/readyz`, 60_000);
  return { url, stop: () => stopServices([service], 5000) };
}
