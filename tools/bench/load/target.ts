import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { developmentCredential } from '@livegate/api/credentials/credential-book';
import { findFreePort } from '../../dev/ports.js';
import type { Bench, Figure } from '../bench.js';
import { withOwnCores } from '../own-cores.js';
import {
  credentials,
  type Product,
  type ProductOptions,
  sendLoad,
  startProduct,
} from '../product.js';
import { type Answer, latencies } from './open-load.js';

/** With the default of 8 `--seconds` a load lasts half a minute, with 30 two minutes. */
export const LOADS_OF_SECONDS = 4;
const CALLERS = 16;
/** Until V8 has optimized the code of gateway and worker, checks cost several times as much. */
const WARM_UP_SECONDS = 10;

/** Headers of the second tenant of a target. */
export const other = { ...credentials, authorization: `Basic ${btoa('other:default-password')}` };

/** A product with two tenants, whose worker has cores of its own. */
export interface Target {
  product: Product;
  url: string;
  /** The images that engines have run. */
  countRuns(): Promise<number>;
  stop(): Promise<void>;
}

export function withTarget(
  bench: Bench,
  options: ProductOptions,
  measure: (halved: Bench, target: Target) => Promise<Figure[]>,
): Promise<Figure[]> {
  return withOwnCores(bench, async (halved, moveService) => {
    const target = await start(halved, options);
    moveService(target.product.worker);
    try {
      return await measure(halved, target);
    } finally {
      await target.stop();
    }
  });
}

async function start(bench: Bench, options: ProductOptions): Promise<Target> {
  const dir = await mkdtemp(join(tmpdir(), 'livegate-overload-'));
  const file = join(dir, 'credentials.json');
  const tenants = [
    developmentCredential,
    { ...developmentCredential, tenant: 'other', username: 'other' },
  ];
  await writeFile(file, JSON.stringify({ credentials: tenants }));
  const port = await findFreePort();
  const product = await startProduct(bench, {
    ...options,
    env: { LIVEGATE_CREDENTIALS_FILE: file },
    workerEnv: {
      ...options.workerEnv,
      OTEL_METRICS_EXPORTER: 'prometheus',
      OTEL_EXPORTER_PROMETHEUS_PORT: `${port}`,
    },
  });
  return {
    product,
    url: product.urls[0]!,
    async countRuns() {
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      const sums = [...metrics.matchAll(/^livegate_batch_size_sum\S* (\S+)/gm)];
      return sums.reduce((sum, [, value]) => sum + Number(value), 0);
    },
    async stop() {
      await product.stop();
      await rm(dir, { recursive: true });
    },
  };
}

export interface Measured {
  target: Target;
  kind: { name: string; image: Buffer };
  say: (line: string) => void;
}

export const selfies = ({ photos }: Bench): Measured['kind'] => ({
  name: 'selfies',
  image: photos.selfie,
});

export const photosOf12 = ({ photos }: Bench): Measured['kind'] => ({
  name: 'photos of 12 MP',
  image: photos.sizes.find(({ name }) => name === 'photo 12 MP')!.jpeg,
});

/** What the product carries, after a warm-up in which the worker measures its own speed. */
export async function measureCapacity(
  { seconds }: Bench,
  { target, kind }: Measured,
): Promise<number> {
  const load = { image: kind.image, connections: CALLERS, mayRefuse: true };
  await sendLoad(target.url, { ...load, seconds: WARM_UP_SECONDS });
  return (await sendLoad(target.url, { ...load, seconds })).perSecond;
}

export function aimed(name: string, value: number, aim: Figure['aim']): Figure {
  return { name, value, unit: '', ...(aim && { aim }) };
}

export function countStatuses(answers: Answer[]): string {
  const statuses = [...new Set(answers.map(({ status }) => status))].toSorted((a, b) => a - b);
  return statuses.map((status) => `${status}: ${latencies(answers, status).length}`).join(', ');
}
