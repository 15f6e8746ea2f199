/**
 * Runs one batch; the answer at index i belongs to the item at index i. An `Error` as an answer
 * fails that item alone; a rejection fails the whole batch.
 */
export type RunBatch<Item, Answer> = (items: Item[]) => Promise<(Answer | Error)[]>;

export interface Batcher<Item, Answer> {
  /** Resolves or rejects with what became of this item. */
  submit(item: Item): Promise<Answer>;
}

interface Waiting<Item, Answer> {
  item: Item;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

export interface BatchRules<Item> {
  maxBatch: number;
  /** Whether an item gets a run of its own, because it may harm what runs beside it. */
  isSuspect: (item: Item) => boolean;
}

/**
 * Gathers items that arrive while a batch runs, and runs them together, oldest first.
 *
 * It is work-conserving: an idle engine starts on whatever is there and never waits for company.
 */
export function createBatcher<Item, Answer>(
  run: RunBatch<Item, Answer>,
  { maxBatch, isSuspect }: BatchRules<Item>,
): Batcher<Item, Answer> {
  const waiting: Waiting<Item, Answer>[] = [];
  let running = false;

  return {
    submit(item) {
      return new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        if (!running) void runUntilEmpty();
      });
    },
  };

  async function runUntilEmpty(): Promise<void> {
    running = true;
    // Let the submits of the same tick join the first batch.
    await Promise.resolve();
    while (waiting.length > 0) await runOne(waiting.splice(0, countNext()));
    running = false;
  }

  function countNext(): number {
    const firstSuspect = waiting.findIndex(({ item }) => isSuspect(item));
    if (firstSuspect === -1) return maxBatch;
    return firstSuspect === 0 ? 1 : Math.min(firstSuspect, maxBatch);
  }

  async function runOne(batch: Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await run(batch.map(({ item }) => item));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const answer = answers[index];
        if (answer instanceof Error) reject(answer);
        else resolve(answer as Answer);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
