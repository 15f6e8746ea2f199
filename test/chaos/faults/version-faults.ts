import type { ChaosProduct } from '../product/chaos-product.js';
import type { Fault } from './fault.js';

const importing = (file: string) =>
  `--import ${new URL(`../product/${file}`, import.meta.url).href}`;
/** A build that queues checks of the next job version and reads both. */
const next = { NODE_OPTIONS: importing('next-version.mjs') };
/** One clock is as far ahead as the other one is behind. */
const SKEW_MS = 45_000;
const skewed = (ms: number) => ({
  NODE_OPTIONS: importing('skew-clock.mjs'),
  TEST_SKEW_MS: `${ms}`,
});

/** Faults by processes that differ from each other. */
export const versionFaults: Fault[] = [
  {
    name: 'Rolling update, workers first',
    promise: 'No check fails: new workers read the checks of old gateways.',
    holdMs: 500,
    inject: (product) => update(product, [updateWorkers, updateGateways]),
  },
  {
    name: 'Rolling update, gateways first',
    promise:
      'New gateways refuse with 503 until a new worker is there; accepted checks wait for it.',
    holdMs: 500,
    inject: (product) => update(product, [updateGateways, updateWorkers]),
  },
  {
    name: 'Clocks that differ by 90 s',
    promise: 'Every check ends once, and webhooks may be late by the difference.',
    holdMs: 2000,
    async inject(product) {
      const ahead = await product.addWorker(skewed(SKEW_MS));
      const behind = await product.addGateway(skewed(-SKEW_MS));
      return async () => {
        await product.remove(ahead, 'SIGTERM');
        await product.remove(behind, 'SIGTERM');
      };
    },
  },
];

type Step = (product: ChaosProduct, env: Record<string, string>) => Promise<void>;

/** Replaces each process by one of the next version; the end of the fault rolls back, as documented. */
async function update(product: ChaosProduct, steps: Step[]) {
  for (const step of steps) await step(product, next);
  return async () => {
    await updateGateways(product, {});
    await updateWorkers(product, {});
  };
}

async function updateWorkers(product: ChaosProduct, env: Record<string, string>): Promise<void> {
  const present = product.workers.slice();
  for (const old of present) {
    await product.addWorker(env);
    await product.remove(old, 'SIGTERM');
  }
}

async function updateGateways(product: ChaosProduct, env: Record<string, string>): Promise<void> {
  const present = product.gateways.slice();
  for (const old of present) {
    await product.addGateway(env);
    await product.remove(old, 'SIGTERM');
  }
}
