import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { findFaultOf } from '../model/find-fault.js';
import { plans } from './plan.js';
import { plants } from './plants.js';
import { type Plant, simulate } from './simulate.js';

// Vitest's fake timers do not replace this module.
vi.mock('node:timers/promises', () => import('../model/fake-timers-promises.js'));

/** 10,000 take about a minute: `TEST_HISTORIES=10000 npm test -- test/simulation`. */
const count = Number(process.env['TEST_HISTORIES'] ?? 1000);
/** Fixed, so that a change of the code alone can fail the suite; `TEST_SEED` tries others. */
process.env['TEST_SEED'] ??= '1628996793';

const histories = (plant?: Plant) =>
  fc.asyncProperty(fc.scheduler(), plans, async (scheduler, plan) => {
    const { violations } = await simulate(scheduler, plan, plant);
    assert.deepEqual(violations, []);
  });

test(`no promise is broken in ${count} histories with failing calls and dying processes`, async () => {
  expect(await findFaultOf(histories(), count)).toBeUndefined();
}, 600_000);

test('the same seed gives the same histories, event by event', async () => {
  const run = async () => {
    const seen: unknown[] = [];
    const property = fc.asyncProperty(fc.scheduler(), plans, async (scheduler, plan) => {
      const { events } = await simulate(scheduler, plan);
      seen.push(events);
    });
    await fc.check(property, { seed: 7, numRuns: 50 });
    return seen;
  };
  expect(await run()).toEqual(await run());
});

test.each(Object.entries(plants))(
  'finds a planted fault: %s',
  async (_name, plant) => {
    const found = await fc.check(histories(plant), {
      numRuns: 3000,
      seed: 1,
      endOnFailure: true,
    });
    expect(found.failed).toBe(true);
    expect(found.errorInstance).toMatchObject({ code: 'ERR_ASSERTION' });
  },
  120_000,
);
