import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type BatchRules, createBatcher } from './batcher.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Gaps between the arrivals of items, and durations of runs, in milliseconds. */
const arrivals = fc.array(fc.nat(12), { minLength: 1, maxLength: 60 });
const durations = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 10 });
type Rules = Required<Omit<BatchRules, 'areFlowsMixed'>> & { mixedFromMs: number };
const rules: fc.Arbitrary<Rules> = fc
  .record({
    maxMixed: fc.integer({ min: 1, max: 4 }),
    more: fc.nat(4),
    mixedFromMs: fc.nat(600),
    maxRuns: fc.integer({ min: 1, max: 3 }),
    maxAhead: fc.nat(3),
    lingerMs: fc.nat(6),
    capacity: fc.constant(1000),
  })
  .map(({ more, ...given }) => ({ ...given, maxBatch: given.maxMixed + more }));

interface Run {
  items: number[];
  startMs: number;
  endMs: number;
}

/** Item i arrives at `arrivedMs[i]`; run i takes the i-th duration, modulo their number. */
async function simulate(given: Rules, gapsMs: number[], durationsMs: number[]) {
  const runs: Run[] = [];
  const mixedAtMs = performance.now() + given.mixedFromMs;
  const areFlowsMixed = () => performance.now() >= mixedAtMs;
  const batcher = createBatcher(
    async (items: number[]) => {
      const startMs = performance.now();
      const runMs = durationsMs[runs.length % durationsMs.length]!;
      runs.push({ items, startMs, endMs: startMs + runMs });
      await new Promise((resolve) => setTimeout(resolve, runMs));
      return items;
    },
    { ...given, areFlowsMixed },
  );

  const arrivedMs: number[] = [];
  const answers: Promise<number>[] = [];
  for (const [item, gapMs] of gapsMs.entries()) {
    await vi.advanceTimersByTimeAsync(gapMs);
    arrivedMs.push(performance.now());
    answers.push(batcher.submit(item));
  }
  await vi.runAllTimersAsync();
  return { runs, arrivedMs, mixedAtMs, answers: await Promise.all(answers) };
}

it('the batcher answers every item once and in order, within the limits of its rules', async () => {
  await fc.assert(
    fc.asyncProperty(rules, arrivals, durations, async (given, gapsMs, durationsMs) => {
      const { runs, mixedAtMs, answers } = await simulate(given, gapsMs, durationsMs);
      const items = gapsMs.map((_, item) => item);
      expect(answers).toEqual(items);
      // No item is lost or runs twice, and the oldest runs first.
      expect(runs.flatMap((run) => run.items)).toEqual(items);
      for (const [index, run] of runs.entries()) {
        const others = runs.slice(0, index).filter(({ endMs }) => endMs > run.startMs).length;
        expect(others).toBeLessThan(given.maxRuns + given.maxAhead!);
        const isAhead = others >= given.maxRuns;
        const most = run.startMs >= mixedAtMs ? given.maxMixed : given.maxBatch;
        expect(run.items.length).toBeGreaterThanOrEqual(isAhead ? most : 1);
        expect(run.items.length).toBeLessThanOrEqual(most);
      }
    }),
  );
});

it('an item waits at most for the linger and for the runs of earlier items', async () => {
  await fc.assert(
    fc.asyncProperty(rules, arrivals, durations, async (given, gapsMs, durationsMs) => {
      const { runs, arrivedMs } = await simulate(given, gapsMs, durationsMs);
      const longestRunMs = Math.max(...durationsMs);
      for (const run of runs) {
        for (const item of run.items) {
          const ahead = arrivedMs.filter((_, other) => {
            const started = runs.find(({ items }) => items.includes(other))!.startMs;
            return other < item && started > arrivedMs[item]!;
          }).length;
          const runsAhead = 1 + Math.floor(ahead / given.maxMixed);
          const waitedMs = run.startMs - arrivedMs[item]!;
          expect(waitedMs).toBeLessThanOrEqual(given.lingerMs + runsAhead * longestRunMs);
        }
      }
    }),
  );
});

it('an engine is never idle while an item has waited for the linger', async () => {
  await fc.assert(
    fc.asyncProperty(rules, arrivals, durations, async (given, gapsMs, durationsMs) => {
      const { runs, arrivedMs } = await simulate(given, gapsMs, durationsMs);
      for (const { startMs, items } of runs) {
        const dueMs = arrivedMs[items[0]!]! + given.lingerMs;
        // A run that started later than due: all engines were busy until its start.
        if (startMs <= dueMs) continue;
        const justBefore = startMs - 0.5;
        const busy = runs.filter((run) => run.startMs <= justBefore && run.endMs > justBefore);
        expect(busy.length).toBeGreaterThanOrEqual(given.maxRuns);
      }
    }),
  );
});
