import { describe, expect, it } from 'vitest';
import { createBatcher } from './batcher.js';

const upTo = (maxBatch: number) => ({ maxBatch, isSuspect: (item: number) => item < 0 });

/** An engine whose every run ends only when the test says so. */
function createHeldEngine() {
  const runs: { items: number[]; finish: (answers: (string | Error)[]) => void }[] = [];
  const run = (items: number[]) =>
    new Promise<(string | Error)[]>((finish) => runs.push({ items, finish }));
  return { runs, run };
}

const settleMicrotasks = () => new Promise((resolve) => setImmediate(resolve));

describe('batcher', () => {
  it('starts at once when the engine is idle, with all that came in the same tick', async () => {
    const { runs, run } = createHeldEngine();
    const batcher = createBatcher(run, upTo(8));
    void batcher.submit(1);
    void batcher.submit(2);
    await settleMicrotasks();
    expect(runs.map(({ items }) => items)).toEqual([[1, 2]]);
  });

  it('gathers what arrives during a run, oldest first and never more than maxBatch', async () => {
    const { runs, run } = createHeldEngine();
    const batcher = createBatcher(run, upTo(2));
    const answers = [batcher.submit(1)];
    await settleMicrotasks();
    answers.push(batcher.submit(2), batcher.submit(3), batcher.submit(4));
    for (let index = 0; index < 3; index++) {
      runs[index]?.finish(runs[index]?.items.map(String) ?? []);
      await settleMicrotasks();
    }
    expect(runs.map(({ items }) => items)).toEqual([[1], [2, 3], [4]]);
    expect(await Promise.all(answers)).toEqual(['1', '2', '3', '4']);
  });

  it('lets one bad item fail alone', async () => {
    const batcher = createBatcher(async (items: number[]) => {
      return items.map((item) => (item === 2 ? new Error('bad') : String(item)));
    }, upTo(8));
    const results = await Promise.allSettled([1, 2, 3].map((item) => batcher.submit(item)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('fails a batch whose run breaks, and runs the next one', async () => {
    let broken = true;
    const batcher = createBatcher(async (items: number[]) => {
      if (broken) throw new Error('engine gone');
      return items.map(String);
    }, upTo(8));
    await expect(batcher.submit(1)).rejects.toThrow('engine gone');
    broken = false;
    await expect(batcher.submit(2)).resolves.toBe('2');
  });

  it('gives a suspect a run of its own, in its turn', async () => {
    const runs: number[][] = [];
    const batcher = createBatcher(async (items: number[]) => {
      runs.push(items);
      return items.map(String);
    }, upTo(8));
    await Promise.all([1, 2, -3, -4, 5, 6].map((item) => batcher.submit(item)));
    expect(runs).toEqual([[1, 2], [-3], [-4], [5, 6]]);
  });
});
