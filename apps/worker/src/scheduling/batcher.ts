/**
 * Runs one batch; the answer at index i belongs to the item at index i. An `Error` as an answer
 * fails that item alone; a rejection fails the whole batch.
 */
export type RunBatch<Item, Answer> = (items: Item[]) => Promise<(Answer | Error)[]>;

export interface BatchRules {
  /** Most items in one run. */
  maxBatch: number;
  /** Runs at the same time: one for each engine. */
  maxRuns: number;
  /** Full batches that may be handed over while all engines are busy, to follow without a pause. */
  maxAhead?: number;
  /** How long an item may wait for company while an engine is idle. */
  lingerMs: number;
  /** Items here at once, waiting and running. When all are here, nothing more can arrive. */
  capacity: number;
}

export interface Batcher<Item, Answer> {
  /** Resolves or rejects with what became of this item; rejects at once beyond the capacity. */
  submit(item: Item): Promise<Answer>;
  /** From now on nothing lingers; what is here, and what still comes, runs. */
  drain(): void;
}

interface Waiting<Item, Answer> {
  item: Item;
  sinceMs: number;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/**
 * Gathers items while every engine is busy, and runs them together, oldest first.
 *
 * It is work-conserving: an idle engine takes what is there, and waits for company no longer than
 * the linger, nor when the batch is full, nor when nothing more can arrive. Idle engines share what
 * is there evenly, as an engine at work is worth more than a full batch. What is handed over ahead is
 * always full, as company could still come to anything less.
 */
export function createBatcher<Item, Answer>(
  run: RunBatch<Item, Answer>,
  { maxBatch, maxRuns, maxAhead = 0, lingerMs, capacity }: BatchRules,
): Batcher<Item, Answer> {
  const waiting: Waiting<Item, Answer>[] = [];
  let held = 0;
  let runs = 0;
  let draining = false;
  let lingering: NodeJS.Timeout | undefined;

  return {
    submit(item) {
      if (held >= capacity) return Promise.reject(new Error(`more than ${capacity} items at once`));
      held++;
      return new Promise((resolve, reject) => {
        waiting.push({ item, sinceMs: performance.now(), resolve, reject });
        // Not at once: the submits of the same tick belong together.
        queueMicrotask(startRuns);
      });
    },
    drain() {
      draining = true;
      startRuns();
    },
  };

  function startRuns(): void {
    clearTimeout(lingering);
    while (runs < maxRuns && waiting.length > 0) {
      const isPointless = draining || waiting.length >= maxBatch || held >= capacity;
      const lingerLeftMs = waiting[0]!.sinceMs + lingerMs - performance.now();
      if (!isPointless && lingerLeftMs > 0) {
        lingering = setTimeout(startRuns, lingerLeftMs);
        return;
      }
      void runNext(Math.min(maxBatch, Math.ceil(waiting.length / (maxRuns - runs))));
    }
    while (runs < maxRuns + maxAhead && waiting.length >= maxBatch) void runNext(maxBatch);
  }

  async function runNext(size: number): Promise<void> {
    const batch = waiting.splice(0, size);
    runs++;
    const answers = await runSafely(run, batch);
    runs--;
    held -= batch.length;
    settle(batch, answers);
    startRuns();
  }
}

async function runSafely<Item, Answer>(
  run: RunBatch<Item, Answer>,
  batch: Waiting<Item, Answer>[],
): Promise<(Answer | Error)[]> {
  try {
    return await run(batch.map(({ item }) => item));
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    return batch.map(() => failure);
  }
}

function settle<Answer>(batch: Waiting<unknown, Answer>[], answers: (Answer | Error)[]): void {
  for (const [index, { resolve, reject }] of batch.entries()) {
    const answer = answers[index];
    if (answer instanceof Error) reject(answer);
    else resolve(answer as Answer);
  }
}
