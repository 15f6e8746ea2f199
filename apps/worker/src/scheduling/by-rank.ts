import type { QueuedCheck } from '@livegate/core/domain';

/** A check in the queue. */
export interface RankedCheck extends QueuedCheck {
  /** Of its job. Default: 0, before all others. */
  rank?: number | undefined;
}

interface FlowInWork {
  images: number;
  /** The work of all of them, per weight. */
  ms: number;
  /** Of the last one: the rank of its job, and its rank here. */
  last: { given: number; rank: number };
}

/**
 * Ranks the images that a worker has in work, so that flows share what they wait for as they share the
 * queue. The rank of an image is that of its job, and in addition the work that its flow has in work
 * here.
 *
 * Without that, a flood would keep what it has: a worker takes jobs by rank, so a check of another flow
 * that comes later has a higher rank than most images that wait here. With it, they are ranked as if they
 * were still in the queue.
 */
export function createRanksInWork() {
  const flows = new Map<string, FlowInWork>();

  return {
    /** Gives the work its rank. */
    async during<Result>(
      check: RankedCheck,
      work: (rank: number) => Promise<Result>,
    ): Promise<Result> {
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
    const inWork = before.ms + ms / weight;
    // Images of one flow keep their order. Their jobs' ranks go back when the queue lowers all tags.
    const least = given >= before.last.given ? before.last.rank : 0;
    const rank = Math.max(given + inWork, least);
    flows.set(flow, { images: before.images + 1, ms: inWork, last: { given, rank } });
    return rank;
  }

  function remove({ flow, ms, weight }: RankedCheck): void {
    const inWork = flows.get(flow)!;
    inWork.images -= 1;
    inWork.ms -= ms / weight;
    if (inWork.images === 0) flows.delete(flow);
  }
}

/** Something that waits. */
export interface Ranked {
  rank: number;
  /** Later ones that go before it. */
  passed: number;
}

/**
 * Adds something to what waits, in the order in which it goes: a lower rank first, those of one rank in
 * the order of their arrival. At most `maxPassed` later ones go before one, because ranks begin again
 * at 0 when the queue has been empty.
 */
export function insertByRank<Waiting extends Ranked>(
  waiting: Waiting[],
  next: Waiting,
  maxPassed: number,
): void {
  let at = waiting.length;
  for (; at > 0; at -= 1) {
    const before = waiting[at - 1]!;
    if (before.rank <= next.rank || before.passed >= maxPassed) break;
    before.passed += 1;
  }
  waiting.splice(at, 0, next);
}

export interface Need {
  /** At most all of them. */
  units: number;
  rank: number;
}

/** Shares a number of units, such as MB of memory, among work that waits for them by its rank. */
export interface RankedLimit {
  /** Starts the work once its units are free; it holds them until it ends. */
  run<Result>(need: Need, work: () => Promise<Result>): Promise<Result>;
}

/** No work goes before what waits for more units than are free, unless its rank is lower. */
export function createRankedLimit(allUnits: number, maxPassed: number): RankedLimit {
  const waiting: (Ranked & { units: number; start(): void })[] = [];
  let free = allUnits;

  return {
    async run({ units, rank }, work) {
      await new Promise<void>((start) => {
        insertByRank(waiting, { rank, passed: 0, units, start }, maxPassed);
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
