import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { findFreePort } from '../dev/ports.js';
import { startService, stopServices, type Service, untilReady } from '../dev/processes.js';
import type { Bench } from './bench.js';
import type { ProcessUsage, UsageRequest } from './programs/watch-process.js';
import { repeatWork, type Rate } from './rounds.js';

/** Each engine on an accelerator takes seconds to warm up. */
const READY_WITHIN_MS = 300_000;
const GRACE_MS = 30_000;

/** Running gateways and workers, as in production. */
export interface Product {
  /** One for each gateway. */
  urls: string[];
  gateways: Service[];
  /** The first one; there is only one unless more are asked for. */
  worker: Service;
  stop(): Promise<void>;
}

export interface ProductOptions {
  gateways?: number;
  workers?: number;
  /** Program and arguments that replace the real worker. */
  worker?: string[];
  /** The same for the gateways. */
  gateway?: string[];
  env?: Record<string, string>;
  /** For the workers only. */
  workerEnv?: Record<string, string>;
  /** For the gateways only. */
  gatewayEnv?: Record<string, string>;
  /** Options of Node.js for all of them. */
  nodeArgs?: string[];
  /** Where log lines go; problems are shown all the same. */
  output?: 'inherit' | 'ignore';
}

const GATEWAY = ['apps/api/dist/bundle/main.js'];
const WORKER = ['apps/worker/dist/bundle/main.js'];

/** Starts gateways and workers with their own key prefix. Resolves when all of them are ready. */
export async function startProduct(
  bench: Pick<Bench, 'env'>,
  options: ProductOptions = {},
): Promise<Product> {
  const { gateways = 1, workers = 1, gateway = GATEWAY, worker = WORKER, ...start } = options;
  const { gatewayEnv, workerEnv } = options;
  const shared = { ...bench.env, LIVEGATE_KEY_PREFIX: `{bench-${randomUUID()}}`, ...options.env };
  const services: Service[] = [];
  const urls: string[] = [];
  const probes: string[] = [];
  const stop = () => stopServices(services, GRACE_MS);
  try {
    for (let i = 0; i < gateways; i++) {
      const port = await findFreePort();
      urls.push(`http://127.0.0.1:${port}`);
      const own = { ...shared, ...gatewayEnv, PORT: `${port}` };
      services.push(startWatched(gateway, own, start));
    }
    for (let i = 0; i < workers; i++) {
      const port = await findFreePort();
      if (worker === WORKER) probes.push(`http://127.0.0.1:${port}`);
      const own = { ...shared, ...workerEnv, LIVEGATE_WORKER_HEALTH_PORT: `${port}` };
      services.push(startWatched(worker, own, start));
    }
    const all = [...urls, ...probes];
    await Promise.all(all.map((url) => untilReady(`${url}/readyz`, READY_WITHIN_MS)));
  } catch (error) {
    await stop();
    throw error;
  }
  return { urls, gateways: services.slice(0, gateways), worker: services[gateways]!, stop };
}

/** Starts a Node program whose resource usage `readUsage` can read. */
export function startWatched(
  args: string[],
  env: Record<string, string>,
  { nodeArgs = [], output = 'inherit' }: Pick<ProductOptions, 'nodeArgs' | 'output'> = {},
): Service {
  const preload = new URL('./programs/watch-process.js', import.meta.url).href;
  const all = [...nodeArgs, '--import', preload, ...args];
  return startService(args[0]!, all, { env: { ...process.env, ...env }, output });
}

export async function readUsage(
  { process: child }: Service,
  request: UsageRequest = 'usage',
): Promise<ProcessUsage> {
  const answer = once(child, 'message') as Promise<[ProcessUsage]>;
  child.send(request);
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

/**
 * Starts the least that a service of the same libraries can be: see textbook-server.ts. With `runMs`, its
 * engine sleeps for that time; without, its worker has a real pipeline.
 */
export async function startTextbookQueue(
  { env }: Pick<Bench, 'env'>,
  { form, runMs }: { form: 'plain' | 'lean'; runMs?: number },
) {
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const args = [`{bench-${randomUUID()}}`, form, ...(runMs === undefined ? [] : [`${runMs}`])];
  const start = (side: string) =>
    startWatched([`tools/dist/bench/programs/textbook-${side}.js`, ...args], {
      ...env,
      PORT: `${port}`,
    });
  const services: [server: Service, worker: Service] = [start('server'), start('worker')];
  const open = once(services[1].process, 'message');
  await Promise.all([open, untilReady(`${url}/readyz`, 60_000)]);
  return { url, services, stop: () => stopServices(services, 5000) };
}

export interface Load {
  image: Buffer;
  /** Number of callers, each with its own keep-alive connection. */
  connections: number;
  seconds: number;
  /** Requests per second of all callers together; without it, as many as possible. */
  perSecond?: number;
  /** Retry a 503 after a second instead of failing; otherwise the rate would count refusals. */
  mayRefuse?: boolean;
}

export const PATH = '/face/v1/passive-liveness';
const RETRY_MS = 1000;
export const credentials = {
  authorization: `Basic ${Buffer.from('default-username:default-password').toString('base64')}`,
  'x-api-key': 'default-api-key',
};

/** Until V8 has optimized the code, for some 5000 checks, each costs up to twice as much. */
export const WARM_UP_SECONDS = 60;

/**
 * Runs callers that each send the next image after the previous answer. Resolves when all answers have
 * arrived. Rejects if an answer is not 200.
 *
 * Does not use autocannon, which aborts the requests that are running at the end, so that the slowest
 * answers are not counted and disturb the next measurement, and which sends the requests of a second in
 * one burst.
 */
export async function sendLoad(url: string, load: Load): Promise<Rate> {
  const { connections: concurrency, seconds, perSecond } = load;
  const { send, close } = await openCallers(url, load.image, concurrency);
  const sendOk = async () => {
    const { status, body } = await send();
    if (status === 503 && load.mayRefuse) await sleep(RETRY_MS);
    else if (status !== 200) throw new Error(`${url} answered ${status}: ${body}`);
  };
  try {
    return await repeatWork(sendOk, { concurrency, seconds, ...(perSecond && { perSecond }) });
  } finally {
    await close();
  }
}

/** Sends `count` uploads at once; resolves to the number of answers with each status. */
export async function sendBurst(url: string, image: Buffer, count: number) {
  const { send, close } = await openCallers(url, image, count);
  const answers = await Promise.all(Array.from({ length: count }, send));
  await close();
  const statuses = new Map<number, number>();
  for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  return statuses;
}

async function openCallers(url: string, image: Buffer, connections: number) {
  const pool = new Pool(url, { connections });
  const { body, type } = await encodeUpload(image);
  const headers = { ...credentials, 'content-type': type };
  return {
    send: async () => {
      const response = await pool.request({ path: PATH, method: 'POST', headers, body });
      return { status: response.statusCode, body: await response.body.text() };
    },
    close: () => pool.destroy(),
  };
}

export async function encodeUpload(image: Buffer): Promise<{ body: Buffer; type: string }> {
  const form = new FormData();
  form.set('image', new Blob([Uint8Array.from(image)]), 'selfie.jpg');
  const encoded = new Response(form);
  const type = encoded.headers.get('content-type') ?? '';
  return { body: Buffer.from(await encoded.arrayBuffer()), type };
}
