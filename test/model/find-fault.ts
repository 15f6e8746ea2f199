import { randomInt } from 'node:crypto';
import * as fc from 'fast-check';
import { histories, playOut } from './histories.js';
import { createModel } from './model.js';
import type { Store } from './store.js';
import { createWorld } from './world.js';

export interface OpenStore {
  store: Store;
  close(): Promise<void>;
}

/** Runs `count` histories, each with a new store. Resolves like `findFaultOf`. */
export async function findFault(
  count: number,
  openStore: () => Promise<OpenStore>,
): Promise<string | undefined> {
  const property = fc.asyncProperty(histories, async (commands) => {
    const { store, close } = await openStore();
    const world = createWorld(store);
    const model = createModel();
    const real = { world, runs: new Map(), nextId: 1 };
    try {
      await fc.asyncModelRun(() => ({ model, real }), commands);
      await playOut(model, real);
    } finally {
      await world.close();
      await close();
    }
  });
  return findFaultOf(property, count);
}

/**
 * Resolves to a report of the shortest failing case, its error, and the seed that reproduces it;
 * `undefined` without a fault. The seed is random unless TEST_SEED is set.
 */
export async function findFaultOf<Given>(
  property: fc.IAsyncProperty<Given>,
  count: number,
): Promise<string | undefined> {
  const seed = Number(process.env['TEST_SEED'] ?? randomInt(2 ** 31));
  const found = await fc.check(property, { numRuns: count, seed });
  if (!found.failed) return undefined;
  const replay = `To replay it: TEST_SEED=${seed} npm test -- --project model`;
  const { stack } = found.errorInstance as Error;
  return [fc.defaultReportMessage(found), replay, stack].join('\n\n');
}
