import { decideVerdict, type ModelSetFacts, type Verdict } from '@livegate/core/domain';
import type { AssessedImage } from '../inference/pipeline.js';
import { isInTrial } from '../models/rollout.js';
import { createObserveShadow } from '../telemetry/observe-model-sets.js';
import type { ModelSet } from './model-set.js';
import type { Roles } from './open-roles.js';

/** A check whose verdict is decided. */
export interface AnsweredCheck {
  id: string;
  image: Uint8Array;
  verdict: Verdict;
  modelSet: ModelSetFacts;
}

export interface ShadowChecks {
  /** Keeps the image in memory until `ended`, if the check is in the shadow's share. */
  offer(check: AnsweredCheck): void;
  /** The answer has been sent, so the shadow may judge the image; or the check was deleted. */
  ended(id: string, outcome: 'kept' | 'deleted'): void;
}

export interface ShadowDeps {
  roles(): Roles;
  /** Resolves when an engine of the current set is idle. */
  untilIdle(): Promise<void>;
  /** A large image takes seconds to decode, and is left out. */
  isLarge(image: Uint8Array): boolean;
  /** Decodes and assesses an image, apart from all checks. */
  assess(image: Uint8Array, set: ModelSet): Promise<AssessedImage>;
}

/**
 * Judges a share of the answered checks once more by the shadow, one at a time, and counts whether
 * it agrees. Nothing waits for the shadow: it runs while an engine is idle. When images arrive faster
 * than that, the oldest ones are dropped. Images, scores and errors stay in memory.
 */
export function createShadowChecks(deps: ShadowDeps): ShadowChecks {
  const { roles, untilIdle, isLarge, assess } = deps;
  const observed = createObserveShadow();
  const offers = createOffers();
  let isRunning = false;

  return {
    offer(check) {
      const { current, shadow } = roles();
      // An answer of the canary, or of a set that was replaced meanwhile, is not compared.
      if (!shadow || check.modelSet !== current.facts) return;
      if (!isInTrial(check.id, 'shadow', shadow.share)) return;
      if (isLarge(check.image)) return observed.missed('large');
      offers.add(check, () => observed.missed('busy'));
    },
    ended(id, outcome) {
      offers.removeOld(() => observed.missed('busy'));
      if (outcome === 'deleted') offers.remove(id);
      else offers.release(id);
      if (!isRunning) void runAll();
    },
  };

  async function runAll(): Promise<void> {
    isRunning = true;
    while (offers.hasReleased()) {
      await untilIdle();
      const check = offers.takeReleased();
      if (check) await compare(check);
    }
    isRunning = false;
  }

  async function compare({ image, verdict, modelSet }: AnsweredCheck): Promise<void> {
    const { current, shadow } = roles();
    if (!shadow || modelSet !== current.facts) return;
    try {
      const { assessment } = await assess(image, shadow.set);
      observed.compared(verdict, decideVerdict(assessment, shadow.set.facts.cutPoints));
    } catch {
      // Not logged: there may be one for each check, and the engine logs its crashes.
      observed.missed('failed');
    }
  }
}

/** Most bytes of images that wait for the shadow: three of the largest uploads, or 200 selfies. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Longest wait of an image, in milliseconds: its check may be deleted meanwhile. */
const MAX_WAIT_MS = 10_000;

/** The checks that wait for the shadow, oldest first. */
function createOffers() {
  const offered = new Map<string, AnsweredCheck & { sinceMs: number }>();
  const released = new Set<string>();
  let bytes = 0;

  function remove(id: string): void {
    bytes -= offered.get(id)?.image.length ?? 0;
    offered.delete(id);
    released.delete(id);
  }

  return {
    /** Calls `dropped` for each older check whose room this one takes. */
    add(check: AnsweredCheck, dropped: () => void): void {
      remove(check.id);
      offered.set(check.id, { ...check, sinceMs: performance.now() });
      bytes += check.image.length;
      for (const id of offered.keys()) {
        if (bytes <= MAX_BYTES) return;
        remove(id);
        dropped();
      }
    },
    /** Calls `dropped` for each check that has waited for too long. */
    removeOld(dropped: () => void): void {
      for (const [id, { sinceMs }] of offered) {
        if (performance.now() - sinceMs < MAX_WAIT_MS) return;
        remove(id);
        dropped();
      }
    },
    release: (id: string) => void (offered.has(id) && released.add(id)),
    hasReleased: () => released.size > 0,
    takeReleased(): AnsweredCheck | undefined {
      const [id = ''] = released;
      const check = offered.get(id);
      remove(id);
      return check;
    },
    remove,
  };
}

export interface Load {
  /** Counts an image from now until its work has ended. */
  during<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Resolves when fewer images are in work than there are engines. */
  untilIdle(): Promise<void>;
}

/** Knows whether the engines of the current set have more work than they can run at once. */
export function createLoad(countEngines: () => number): Load {
  let images = 0;
  const waiting: (() => void)[] = [];

  return {
    async during(work) {
      images++;
      try {
        return await work();
      } finally {
        images--;
        if (images < countEngines()) waiting.shift()?.();
      }
    },
    untilIdle() {
      if (images < countEngines()) return Promise.resolve();
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}
