import { insertByRank, type Ranked } from './by-rank.js';

/**
 * Runs one batch; the answer at index i belongs to the item at index i. An `Error` as an answer
 * fails only that item; a rejection fails the whole batch.
 */
export type RunBatch<Item, Answer> = (items: Item[]) => Promise<(Answer | Error)[]>;

export interface BatchRules {
  /** Most items in one batch. */
  maxBatch: number;
  /** Most items in one batch while `areFlowsMixed`. Default: `maxBatch`. */
  maxMixed?: number;
  /** Whether items of several flows come, as `watchFlows` tells. Default: they do not. */
  areFlowsMixed?: (() => boolean) | undefined;
  /** Batches that run at the same time: one for each engine. */
  maxRuns: number;
  /** Full batches that may be queued in busy engines, so that they start without a pause. */
  maxAhead?: number;
  /** How long an item may wait for a fuller batch while an engine is idle. */
  lingerMs: number;
  /** Most items at once, waiting and running. At capacity no further item can arrive. */
  capacity: number;
}

export interface Batcher<Item, Answer> {
  /**
   * Resolves to this item's answer; rejects with its error, or at once beyond the capacity. Items of
   * a lower rank run first: see `insertByRank`.
   */
  submit(item: Item, rank?: number): Promise<Answer>;
  /** From now on no item lingers; present and later items still run. */
  drain(): void;
}

interface Waiting<Item, Answer> extends Ranked {
  item: Item;
  sinceMs: number;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/**
 * Collects items while all engines are busy, and runs them in batches, by rank.
 *
 * Work-conserving with a bounded linger: an idle engine starts a batch once it is full, the linger
 * of the oldest item is over, or no further item can arrive. Idle engines share the waiting items
 * evenly, because a busy engine is worth more than a full batch. Batches that are queued ahead are
 * always full, because a smaller one could still grow.
 *
 * Larger batches give more throughput, and make the next item of another flow wait longer. So they may
 * be smaller while items of several flows come.
 */
export function createBatcher<Item, Answer>(
  run: RunBatch<Item, Answer>,
  { maxBatch, maxMixed = maxBatch, areFlowsMixed = () => false, ...rules }: BatchRules,
): Batcher<Item, Answer> {
  const { maxRuns, maxAhead = 0, lingerMs, capacity } = rules;
  const waiting: Waiting<Item, Answer>[] = [];
  let load = 0; // items waiting and running
  let runs = 0;
  let draining = false;
  let lingering: NodeJS.Timeout | undefined;

  return {
    submit(item, rank = 0) {
      if (load >= capacity) return Promise.reject(new Error(`more than ${capacity} items at once`));
      load++;
      return new Promise((resolve, reject) => {
        const sinceMs = performance.now();
        insertByRank(waiting, { item, rank, passed: 0, sinceMs, resolve, reject }, capacity);
        // In a microtask, so that the items of one tick share a batch.
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
    const most = areFlowsMixed() ? maxMixed : maxBatch;
    while (runs < maxRuns && waiting.length > 0) {
      const mayGrow = !draining && waiting.length < most && load < capacity;
      const lingerLeftMs = mayGrow ? oldestOf(waiting) + lingerMs - performance.now() : 0;
      if (lingerLeftMs > 0) return void (lingering = setTimeout(startRuns, lingerLeftMs));
      void runNext(Math.min(most, Math.ceil(waiting.length / (maxRuns - runs))));
    }
    while (runs < maxRuns + maxAhead && waiting.length >= most) void runNext(most);
  }

  async function runNext(size: number): Promise<void> {
    const batch = waiting.splice(0, size);
    runs++;
    const answers = await runSafely(run, batch);
    runs--;
    load -= batch.length;
    settle(batch, answers);
    startRuns();
  }
}

/** How long a flow is remembered after items of another one have come. */
const MIXED_MS = 10_000;

/** Tells whether items of several flows came in the last ten seconds. */
export function watchFlows() {
  let last: string | undefined;
  let changedAt = -Infinity;
  return {
    /** Notes the flow of an item; an item may have none. */
    add(flow: string | undefined): void {
      if (flow === undefined || flow === last) return;
      if (last !== undefined) changedAt = performance.now();
      last = flow;
    },
    areMixed: () => performance.now() - changedAt < MIXED_MS,
  };
}

function oldestOf(waiting: { sinceMs: number }[]): number {
  return Math.min(...waiting.map(({ sinceMs }) => sinceMs));
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
