import type { QueuedCheck } from '@livegate/core/domain';
import type { AssessedImage } from '../inference/pipeline.js';
import type { AssessOptions, ImageScheduler } from '../scheduling/schedule-images.js';
import { LargeImagesBusy } from './requeue.js';

/**
 * Lets large images take half of the worker's jobs, and the memory for their decodes. A large image
 * without a slot goes back to the queue, so that it does not occupy a job.
 */
export function limitLargeImages({
  assess,
  large,
  concurrency,
}: Pick<ImageScheduler, 'assess' | 'large' | 'concurrency'>) {
  const images = Math.max(1, Math.floor(concurrency / 2));
  const slots = createLargeSlots({ images, megabytes: large.maxMegabytes });

  return async (
    image: Uint8Array,
    options: AssessOptions & { checkId: string; share: QueuedCheck },
  ): Promise<AssessedImage> => {
    const megabytes = large.megabytesOf(image);
    if (megabytes === 0) return await assess(image, options);
    const check = { id: options.checkId, share: options.share, megabytes };
    const release = slots.take(check);
    if (!release) throw new LargeImagesBusy((wake) => slots.awaitSlot(check, wake));
    return await assess(image, options).finally(release);
  };
}

/** A check whose image is decoded in a process of its own. */
export interface LargeCheck {
  id: string;
  /** Its flow, and its work. */
  share: QueuedCheck;
  /** The memory that its decode needs. */
  megabytes: number;
}

/** What all large images of a worker may hold at once. */
export interface LargeLimits {
  images: number;
  megabytes: number;
}

export type ReleaseSlot = () => void;

/**
 * Slots for large images, so that those of one tenant do not delay another one's. Flows share them by
 * their weights, as they share the queue: the flow that has had the least work per weight goes first.
 *
 * The ranks of the jobs do not say which one that is: a check that waits for a slot is not in the queue,
 * whose clock goes on, so a later check of another tenant would have a higher rank.
 */
export interface LargeSlots {
  /** `undefined` if the image does not fit now, or if another flow is next. */
  take(check: LargeCheck): ReleaseSlot | undefined;
  /**
   * For a check that got no slot: calls `wake` when its turn has come, and keeps the slot for it for a
   * moment. If `wake` rejects, the next one is woken.
   */
  awaitSlot(check: LargeCheck, wake: () => Promise<unknown>): void;
}

/** How long a slot is kept for a woken check. Another worker may have taken it from the queue. */
export const KEEP_SLOT_MS = 250;

interface Waiter extends LargeCheck {
  wake: () => Promise<unknown>;
}

export function createLargeSlots(limits: LargeLimits): LargeSlots {
  const flows = createFlows();
  /** Slots that are kept for woken checks, by check. */
  const kept = new Map<string, ReleaseSlot>();
  const room = createRoom(limits);

  return {
    take(check) {
      const own = kept.get(check.id);
      if (kept.delete(check.id)) return own;
      return flows.isNext(check) && room.fits(check) ? grant(check) : undefined;
    },
    awaitSlot(check, wake) {
      flows.add({ ...check, wake });
      // A slot may have become free since `take` returned none.
      wakeNext();
    },
  };

  function grant(check: LargeCheck): ReleaseSlot {
    flows.charge(check);
    const leave = room.enter(check);
    return () => {
      leave();
      wakeNext();
    };
  }

  function wakeNext(): void {
    const next = flows.findNext();
    if (!next || !room.fits(next)) return;
    keepFor(next);
    wakeNext();
  }

  function keepFor(waiter: Waiter): void {
    const { id } = waiter;
    const release = grant(waiter);
    kept.set(id, release);
    const giveUp = () => {
      if (kept.get(id) !== release) return;
      kept.delete(id);
      flows.refund(waiter);
      release();
    };
    setTimeout(giveUp, KEEP_SLOT_MS).unref();
    waiter.wake().catch(giveUp);
  }
}

function createRoom(limits: LargeLimits) {
  const held = new Set<LargeCheck>();
  const megabytesOf = (checks: Iterable<LargeCheck>) =>
    [...checks].reduce((sum, { megabytes }) => sum + megabytes, 0);
  return {
    fits: (check: LargeCheck) =>
      held.size < limits.images && megabytesOf([...held, check]) <= limits.megabytes,
    /** The result ends it, and does nothing the second time. */
    enter(check: LargeCheck): () => void {
      const entry = { ...check };
      held.add(entry);
      return () => void held.delete(entry);
    },
  };
}

interface Flow {
  /** The work per weight that it has had, on the clock of all flows. */
  tag: number;
  /** In the order of their arrival. */
  waiting: Map<string, Waiter>;
}

/** Start-time fair queueing (Goyal, Vin and Cheng, 1996) over the flows that wait here. */
function createFlows() {
  const flows = new Map<string, Flow>();
  /** The tag of the flow that was charged last. */
  let clock = 0;
  const flowOf = ({ share }: LargeCheck): Flow =>
    flows.get(share.flow) ?? { tag: 0, waiting: new Map<string, Waiter>() };
  /** A flow that had nothing here goes first, and is owed nothing for the time before. */
  const startOf = (check: LargeCheck) => Math.max(clock, flowOf(check).tag);

  return {
    add(waiter: Waiter): void {
      const flow = flowOf(waiter);
      flow.waiting.set(waiter.id, waiter);
      flows.set(waiter.share.flow, flow);
    },
    findNext,
    /** Whether no check that waits goes before this one. */
    isNext(check: LargeCheck): boolean {
      const next = findNext();
      return !next || next.id === check.id || startOf(check) < startOf(next);
    },
    /** The check gets its turn. */
    charge(check: LargeCheck): void {
      const { flow, ms, weight } = check.share;
      const { waiting } = flowOf(check);
      clock = startOf(check);
      waiting.delete(check.id);
      flows.set(flow, { tag: clock + ms / weight, waiting });
      for (const [name, { tag, waiting: left }] of flows) {
        if (left.size === 0 && tag <= clock) flows.delete(name);
      }
    },
    /** The check did not use its turn. */
    refund({ share }: LargeCheck): void {
      const flow = flows.get(share.flow);
      if (flow) flow.tag -= share.ms / share.weight;
    },
  };

  /** The first waiter of the flow that has the lowest tag. */
  function findNext(): Waiter | undefined {
    const firsts = [...flows.values()].flatMap(({ waiting }) => [...waiting.values()].slice(0, 1));
    return firsts.reduce<Waiter | undefined>(
      (next, first) => (next && startOf(next) <= startOf(first) ? next : first),
      undefined,
    );
  }
}
