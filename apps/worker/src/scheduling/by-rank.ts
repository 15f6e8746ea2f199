import type { QueuedCheck } from '@livegate/core/domain';

/** A check that the worker has taken from the queue. */
export interface RankedCheck extends QueuedCheck {
  /** How long this worker takes for it. */
  ms: number;
  /** Of its job. Default: 0. */
  rank?: number | undefined;
}

interface FlowInWork {
  images: number;
  /** Of all of them, per weight. */
  ms: number;
  /** The last one: the rank of its job, and its rank here. */
  last: { given: number; rank: number };
}

/**
 * Ranks the images that a worker has in work, so that flows share what they wait for as they share the
 * queue. The rank of an image is that of its job, and in addition the time for what its flow already has
 * in work here.
 *
 * Without that, a flood would keep what it has: a worker takes jobs by rank, so a check of another flow
 * that comes later has a higher rank than most images that wait here. With it, the flood's are ranked as
 * if they were still in the queue.
 */
export function createRanksInWork() {
  const flows = new Map<string, FlowInWork>();

  return {
    /** Calls `work` with the rank of the image, which is 0 without a check. */
    async during<Result>(
      check: RankedCheck | undefined,
      work: (rank: number) => Promise<Result>,
    ): Promise<Result> {
      if (!check) return await work(0);
      const rank = add(check);
      try {
        return await work(rank);
      } finally {
        remove(check);
      }
    },
  };

  function add({ flow, ms, weight, rank: given = 0 }: RankedCheck): number {
    const before = flows.get(flow) ?? { images: 0, ms: 0, last: { given: 0, rank: 0 } };
    // Images of one flow keep their order, unless the ranks in the queue have begun again.
    const least = given >= before.last.given ? before.last.rank : 0;
    const rank = Math.max(given + before.ms, least);
    const inWork = { images: before.images + 1, ms: before.ms + ms / weight };
    flows.set(flow, { ...inWork, last: { given, rank } });
    return rank;
  }

  function remove({ flow, ms, weight }: RankedCheck): void {
    const inWork = flows.get(flow)!;
    inWork.images -= 1;
    inWork.ms -= ms / weight;
    if (inWork.images === 0) flows.delete(flow);
  }
}

/**
 * How many later ones may go before one, for each that there may be at once. Ranks in the queue begin
 * again at 0 when it has been empty, and one of before would wait too long. With much less than ten, one
 * of a small weight would soon go before all later ones.
 */
const PASSES_EACH = 10;

/** Something that waits. */
export interface Ranked {
  rank: number;
  /** How many later ones go before it. */
  passed: number;
}

/**
 * Adds something to what waits, in the order in which it goes: a lower rank first, those of one rank in
 * the order of their arrival. `capacity` is how many there may be at once.
 */
export function insertByRank<Waiting extends Ranked>(
  waiting: Waiting[],
  next: Waiting,
  capacity: number,
): void {
  let at = waiting.length;
  for (; at > 0; at -= 1) {
    const before = waiting[at - 1]!;
    if (before.rank <= next.rank || before.passed >= PASSES_EACH * capacity) break;
    before.passed += 1;
  }
  waiting.splice(at, 0, next);
}

/** Shares a number of units, such as MB of memory, among work that waits for them by its rank. */
export interface RankedLimit {
  /** Starts the work once `units` are free, at most all of them; it holds them until it ends. */
  run<Result>(need: { units: number; rank: number }, work: () => Promise<Result>): Promise<Result>;
}

/**
 * For up to `capacity` pieces of work at once. None goes before one that waits for more units than are
 * free, unless its rank is lower.
 */
export function createRankedLimit(allUnits: number, capacity: number): RankedLimit {
  const waiting: (Ranked & { units: number; start(): void })[] = [];
  let free = allUnits;

  return {
    async run({ units, rank }, work) {
      await new Promise<void>((start) => {
        insertByRank(waiting, { rank, passed: 0, units, start }, capacity);
        startNext();
      });
      try {
        return await work();
      } finally {
        free += units;
        startNext();
      }
    },
  };

  function startNext(): void {
    while (waiting.length > 0 && waiting[0]!.units <= free) {
      const { units, start } = waiting.shift()!;
      free -= units;
      start();
    }
  }
}
