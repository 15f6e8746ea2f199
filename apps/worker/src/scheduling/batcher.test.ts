import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type BatchRules, createBatcher, watchFlows } from './batcher.js';

/** An engine whose runs end when the test ends them; its answers are the items as text. */
export function createManualEngine() {
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

describe('the batcher', () => {
  it('starts at once on an idle engine, with all items of the same tick', async () => {
    const { runs, run } = createManualEngine();
    const batcher = createBatcher(run, rules);
    void batcher.submit(1);
    void batcher.submit(2);
    await vi.advanceTimersByTimeAsync(0);
    expect(runs.map(({ items }) => items)).toEqual([[1, 2]]);
  });

  it('collects the items that arrive during a run, oldest first and at most maxBatch', async () => {
    const { runs, run } = createManualEngine();
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

  it('runs an item of a high rank in the end, however many of a low rank arrive', async () => {
    const { runs, run } = createManualEngine();
    const batcher = createBatcher(run, { ...rules, maxBatch: 2, capacity: 5 });
    void batcher.submit(0);
    await vi.advanceTimersByTimeAsync(0);
    void batcher.submit(1, 500_000);
    for (let rank = 0; rank < 50; rank++) {
      for (const item of [2, 3]) void batcher.submit(item, rank);
      runs[rank]?.finish();
      await vi.advanceTimersByTimeAsync(0);
    }
    // After ten later ones for each of the five that may be at the batcher.
    expect(runs.map(({ items }) => items.includes(1)).indexOf(true)).toBe(26);
  });

  it('runs items of a lower rank first, and those of one rank in their order', async () => {
    const { runs, run } = createManualEngine();
    const batcher = createBatcher(run, { ...rules, maxBatch: 2 });
    void batcher.submit(0);
    await vi.advanceTimersByTimeAsync(0);
    for (const [item, rank] of [
      [1, 5],
      [2, 5],
      [3, 2],
      [4, 5],
      [5, 2],
      [6, 1],
    ] as const) {
      void batcher.submit(item, rank);
    }
    for (let index = 0; index < 3; index++) {
      runs[index]?.finish();
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(runs.map(({ items }) => items)).toEqual([[0], [6, 3], [5, 1], [2, 4]]);
  });

  it('runs at most maxMixed items in one batch while items of several flows come', async () => {
    const { runs, run } = createManualEngine();
    let areMixed = true;
    const batcher = createBatcher(run, { ...rules, maxMixed: 1, areFlowsMixed: () => areMixed });
    for (const item of [1, 2, 3, 4]) void batcher.submit(item);
    for (let index = 0; index < 3; index++) {
      await vi.advanceTimersByTimeAsync(0);
      areMixed = index < 1;
      runs[index]?.finish();
    }
    expect(runs.map(({ items }) => items)).toEqual([[1], [2], [3, 4]]);
  });

  it('shares the waiting items between idle engines', async () => {
    const { runs, run } = createManualEngine();
    const batcher = createBatcher(run, { ...rules, maxRuns: 2 });
    for (const item of [1, 2, 3]) void batcher.submit(item);
    await vi.advanceTimersByTimeAsync(0);
    expect(runs.map(({ items }) => items)).toEqual([[1, 2], [3]]);
  });

  it('queues only full batches ahead, and keeps the other items for the next batch', async () => {
    const { runs, run } = createManualEngine();
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

  it('fails only the bad item of a batch', async () => {
    const batcher = createBatcher(
      async (items: number[]) => items.map((item) => (item === 2 ? new Error('bad') : item)),
      rules,
    );
    const results = await Promise.allSettled([1, 2, 3].map((item) => batcher.submit(item)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('fails every item of a batch whose run rejects, and runs the next batch', async () => {
    let broken = true;
    const batcher = createBatcher(async (items: number[]) => {
      if (broken) throw new Error('engine gone');
      return items;
    }, rules);
    await expect(batcher.submit(1)).rejects.toThrow('engine gone');
    broken = false;
    await expect(batcher.submit(2)).resolves.toBe(2);
  });

  it('fails every item with an Error if the run rejects with anything else', async () => {
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors
    const batcher = createBatcher(() => Promise.reject('out of memory'), rules);
    await expect(batcher.submit(1)).rejects.toEqual(new Error('out of memory'));
  });

  it('refuses an item beyond its capacity, and accepts again after a run', async () => {
    const { runs, run } = createManualEngine();
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

describe('the batcher with an idle engine', () => {
  const lingering: BatchRules = { ...rules, lingerMs: 5 };

  /** The time at which a run started, when items arrive at the given times. */
  async function startOf(arrivalsMs: number[], given: BatchRules): Promise<number> {
    const { runs, run } = createManualEngine();
    const batcher = createBatcher(run, given);
    const openedMs = performance.now();
    for (const atMs of arrivalsMs) {
      await vi.advanceTimersByTimeAsync(openedMs + atMs - performance.now());
      void batcher.submit(atMs);
    }
    await vi.advanceTimersByTimeAsync(100);
    return runs[0]!.startedMs - openedMs;
  }

  it('waits for a fuller batch until the linger of the oldest item is over', async () => {
    expect(await startOf([0, 3], lingering)).toBe(5);
  });

  it('starts once the batch is full', async () => {
    expect(await startOf([0, 1, 2, 3], lingering)).toBe(3);
  });

  it('starts once no further item can arrive', async () => {
    expect(await startOf([0, 2], { ...lingering, capacity: 2 })).toBe(2);
  });

  it('does not linger while draining, and still runs later items', async () => {
    const { runs, run } = createManualEngine();
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

describe('flows', () => {
  const addAll = (flows: ReturnType<typeof watchFlows>, ...added: (string | undefined)[]) => {
    for (const flow of added) flows.add(flow);
    return flows.areMixed();
  };

  it('are not mixed as long as all items are of one, or of none', () => {
    expect(watchFlows().areMixed()).toBe(false);
    expect(addAll(watchFlows(), undefined, 'a', undefined, 'a')).toBe(false);
  });

  it('are mixed for ten seconds after an item of another one', async () => {
    const flows = watchFlows();
    expect(addAll(flows, 'a', 'b')).toBe(true);
    await vi.advanceTimersByTimeAsync(9999);
    expect(addAll(flows, 'b')).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(addAll(flows, 'b')).toBe(false);
    expect(addAll(flows, 'a')).toBe(true);
  });
});
