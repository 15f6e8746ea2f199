import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type BatchRules, createBatcher } from './batcher.js';

/** An engine whose every run ends only when the test says so; its answers are the items as text. */
export function createHeldEngine() {
  const runs: { items: number[]; startedMs: number; finish: () => void }[] = [];
  const run = (items: number[]) =>
    new Promise<string[]>((resolve) => {
      const finish = () => resolve(items.map(String));
      runs.push({ items, startedMs: performance.now(), finish });
    });
  return { runs, run };
}

const rules: BatchRules = { maxBatch: 4, maxRuns: 1, lingerMs: 0, capacity: 100 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('batcher', () => {
  it('starts at once when the engine is idle, with all that came in the same tick', async () => {
    const { runs, run } = createHeldEngine();
    const batcher = createBatcher(run, rules);
    void batcher.submit(1);
    void batcher.submit(2);
    await vi.advanceTimersByTimeAsync(0);
    expect(runs.map(({ items }) => items)).toEqual([[1, 2]]);
  });

  it('gathers what arrives during a run, oldest first and never more than maxBatch', async () => {
    const { runs, run } = createHeldEngine();
    const batcher = createBatcher(run, { ...rules, maxBatch: 2 });
    const answers = [batcher.submit(1)];
    await vi.advanceTimersByTimeAsync(0);
    answers.push(batcher.submit(2), batcher.submit(3), batcher.submit(4));
    for (let index = 0; index < 3; index++) {
      runs[index]?.finish();
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(runs.map(({ items }) => items)).toEqual([[1], [2, 3], [4]]);
    expect(await Promise.all(answers)).toEqual(['1', '2', '3', '4']);
  });

  it('shares what is there between idle engines', async () => {
    const { runs, run } = createHeldEngine();
    const batcher = createBatcher(run, { ...rules, maxRuns: 2 });
    for (const item of [1, 2, 3]) void batcher.submit(item);
    await vi.advanceTimersByTimeAsync(0);
    expect(runs.map(({ items }) => items)).toEqual([[1, 2], [3]]);
  });

  it('hands over ahead what fills a batch, and keeps the rest for company', async () => {
    const { runs, run } = createHeldEngine();
    const batcher = createBatcher(run, { ...rules, maxBatch: 2, maxAhead: 1 });
    for (const item of [1, 2, 3, 4, 5]) void batcher.submit(item);
    await vi.advanceTimersByTimeAsync(0);
    expect(runs.map(({ items }) => items)).toEqual([
      [1, 2],
      [3, 4],
    ]);
    runs[0]?.finish();
    await vi.advanceTimersByTimeAsync(0);
    expect(runs).toHaveLength(2);
    void batcher.submit(6);
    await vi.advanceTimersByTimeAsync(0);
    expect(runs[2]?.items).toEqual([5, 6]);
  });

  it('lets one bad item fail alone', async () => {
    const batcher = createBatcher(
      async (items: number[]) => items.map((item) => (item === 2 ? new Error('bad') : item)),
      rules,
    );
    const results = await Promise.allSettled([1, 2, 3].map((item) => batcher.submit(item)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('fails a batch whose run breaks, and runs the next one', async () => {
    let broken = true;
    const batcher = createBatcher(async (items: number[]) => {
      if (broken) throw new Error('engine gone');
      return items;
    }, rules);
    await expect(batcher.submit(1)).rejects.toThrow('engine gone');
    broken = false;
    await expect(batcher.submit(2)).resolves.toBe(2);
  });

  it('refuses an item beyond its capacity, and has room again after a run', async () => {
    const { runs, run } = createHeldEngine();
    const batcher = createBatcher(run, { ...rules, capacity: 2 });
    const first = batcher.submit(1);
    void batcher.submit(2);
    await expect(batcher.submit(3)).rejects.toThrow('more than 2 items');
    runs[0]?.finish();
    await first;
    void batcher.submit(4);
    await vi.advanceTimersByTimeAsync(0);
    expect(runs.map(({ items }) => items)).toEqual([[1, 2], [4]]);
  });
});

describe('an idle engine', () => {
  const lingering: BatchRules = { ...rules, lingerMs: 5 };

  /** The time at which a run started, when items arrive at the given times. */
  async function startOf(arrivalsMs: number[], given: BatchRules): Promise<number> {
    const { runs, run } = createHeldEngine();
    const batcher = createBatcher(run, given);
    const openedMs = performance.now();
    for (const atMs of arrivalsMs) {
      await vi.advanceTimersByTimeAsync(openedMs + atMs - performance.now());
      void batcher.submit(atMs);
    }
    await vi.advanceTimersByTimeAsync(100);
    return runs[0]!.startedMs - openedMs;
  }

  it('waits for company until the oldest item has waited for the linger', async () => {
    expect(await startOf([0, 3], lingering)).toBe(5);
  });

  it('waits no longer once the batch is full', async () => {
    expect(await startOf([0, 1, 2, 3], lingering)).toBe(3);
  });

  it('waits no longer once nothing more can arrive', async () => {
    expect(await startOf([0, 2], { ...lingering, capacity: 2 })).toBe(2);
  });

  it('waits for nothing while draining, and still runs what comes', async () => {
    const { runs, run } = createHeldEngine();
    const batcher = createBatcher(run, { ...lingering, lingerMs: 1e6 });
    const first = batcher.submit(1);
    batcher.drain();
    runs[0]?.finish();
    await first;
    void batcher.submit(2);
    await vi.advanceTimersByTimeAsync(0);
    expect(runs.map(({ items }) => items)).toEqual([[1], [2]]);
  });
});
