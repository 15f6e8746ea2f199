import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fault } from './faults/fault.js';
import { allLinkFaults } from './faults/link-faults.js';
import { processFaults } from './faults/process-faults.js';
import { describeFailover, FULL_DISK, listRedisFaults } from './faults/redis-faults.js';
import { versionFaults } from './faults/version-faults.js';
import { createHistory } from './history/history.js';
import { type ChaosProduct, startChaosProduct } from './product/chaos-product.js';
import {
  type ChaosRedis,
  type SingleRedis,
  startRedisGroup,
  startSingleRedis,
} from './product/chaos-redis.js';
import { runFault } from './run-fault.js';
import { createFaultsPage } from './write-page.js';

/** `npm run test:chaos` runs all faults; `npm test` the most telling, and writes no page. */
const isFull = process.env['TEST_FAULTS'] === 'all';
const page = createFaultsPage();
const START_MS = 180_000;
const FAULT_MS = 240_000;

let redis: SingleRedis;
const getRedis = () => redis;

runAll('with one Redis', async () => (redis = await startSingleRedis()), [
  ...processFaults,
  ...listRedisFaults(getRedis),
  ...allLinkFaults,
  ...versionFaults,
]);

const failovers = [
  ['sentinels', 'Redis leader killed, behind Sentinels'],
  ['cluster', 'Redis leader killed, in a Cluster'],
] as const;
for (const [kind, name] of failovers) {
  let group: Awaited<ReturnType<typeof startRedisGroup>>;
  const open = async () => (group = await startRedisGroup(kind));
  runAll(`with Redis behind ${kind}`, open, [describeFailover(name, () => group.killLeader())]);
}

/** Runs the faults one after another under load, against one product. */
function runAll(title: string, open: () => Promise<ChaosRedis>, faults: Fault[]): void {
  const chosen = faults.filter(({ isQuick }) => isFull || isQuick);
  if (chosen.length === 0) return;
  chosen.forEach(page.expectOne);

  describe(`under load, ${title}`, () => {
    let product: ChaosProduct | undefined;
    let history = createHistory(() => performance.now());

    beforeAll(async () => {
      product = await startChaosProduct(await open(), () => history);
    }, START_MS);
    afterAll(() => product?.stop(), START_MS);

    it.for(chosen)('$name: $promise', { timeout: FAULT_MS }, async (fault, { skip }) => {
      if (fault.name === FULL_DISK && !redis.disk) {
        page.skip();
        skip('mounting a small disk is not allowed here');
      }
      history = createHistory(() => performance.now());
      const report = await runFault(fault, product!, history);
      page.add(fault, report);
      if (isFull) await page.writeIfComplete();
      expect(report.violations).toEqual([]);
      expect(report.accepted).toBeGreaterThan(20);
    });
  });
}
