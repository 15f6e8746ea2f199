import { decideVerdict } from '@livegate/core/domain';
import type { Log } from '@livegate/core/telemetry';
import type { Picture } from '../inference/picture.js';
import type { AssessedBySet } from '../inference/pipeline.js';
import { isInTrial, type Rollout } from '../models/rollout.js';
import {
  createObserveModelSets,
  type Role,
  statusOfVerdict,
} from '../telemetry/observe-model-sets.js';
import { createObserveRuns, observeEngines } from '../telemetry/observe-runs.js';
import { type ModelSet, type ModelSetDeps, openModelSet } from './model-set.js';
import { openRoles, type OpenSet, plan, type Roles, type RolesConfig } from './open-roles.js';

/**
 * The model sets of a worker, and how one takes over from another:
 *
 *     load, verify ▶ open engines, prove ▶ switch ▶ the replaced set ends its images and closes
 *
 * Both sets are in memory from the first engine of the new one until the old one has closed.
 */
export interface ModelSets {
  /** The sets that are in use now. */
  roles(): Roles;
  /**
   * The canary assesses the picture if the check with this id is in its share, else the current set.
   * Rejects with a `CanaryFailure` if the canary cannot assess the picture, whose pixels are lost
   * then. Pictures of a lower rank run first.
   */
  assess(picture: Picture, check?: RankedPicture): Promise<AssessedBySet>;
  /**
   * Swaps to the models of a rollout for all later pictures. If a model cannot be loaded or
   * proven, nothing changes and the promise rejects. False if these models are in use already.
   */
  use(rollout: Rollout): Promise<boolean>;
  /** From now on no picture waits for a fuller batch. */
  drain(): void;
  /** Milliseconds since the start of the longest present run of a set that answers. */
  longestRunMs(): number;
  close(): Promise<void>;
}

/** The id and the rank of the check that a picture belongs to. */
export interface RankedPicture {
  id?: string | undefined;
  rank?: number | undefined;
}

/** The current set must assess the image instead. `cause` is the canary's error. */
export class CanaryFailure extends Error {
  override name = 'CanaryFailure';
}

export interface ModelSetsDeps extends Pick<ModelSetDeps, 'open' | 'areFlowsMixed'> {
  log: Log;
  /** Called when the current set cannot replace a crashed engine. */
  onLost(): void;
}

/** Throws an Error when the models of the current profile cannot be opened. */
export async function openModelSets(
  { rollout, ...config }: RolesConfig & { rollout: Rollout },
  deps: ModelSetsDeps,
): Promise<ModelSets> {
  const runs = createObserveRuns(deps.log);
  const open: OpenSet = (wanted, role) =>
    openModelSet(wanted, role === 'shadow' ? deps : { ...deps, runs });
  const first = await plan(rollout.profile, config.layout, config);
  const current = await open({ ...first, oneByOne: false }, 'current');
  const sets = createModelSets(current, { ...deps, config, openSet: open });
  observeEngines({
    countEngines: () => sets.roles().current.layout.engines,
    longestRunMs: sets.longestRunMs,
  });
  if (rollout.canary ?? rollout.shadow) {
    // A trial that cannot be opened must not keep a worker from restarting.
    await sets.use(rollout).catch((error: unknown) => {
      deps.log.error({ err: error, rollout }, 'model trial failed to start');
    });
  }
  return sets;
}

interface CreateDeps extends ModelSetsDeps {
  config: RolesConfig;
  openSet: OpenSet;
}

function createModelSets(current: ModelSet, deps: CreateDeps): ModelSets {
  const { config, openSet, log, onLost } = deps;
  let roles: Roles = { current };
  let isDraining = false;
  let lastUse: Promise<unknown> = Promise.resolve();
  const observed = createObserveModelSets(() => listSets(roles));
  const retired = createRetired(log);
  const adopt = (set: ModelSet) => {
    if (isDraining) set.drain();
    void set.lost.then(() => drop(set));
  };
  adopt(current);

  return {
    roles: () => roles,
    assess: createAssess(() => roles, observed),
    use(rollout) {
      const use = lastUse.then(() => switchTo(rollout));
      lastUse = observed.swap(use);
      return use;
    },
    drain() {
      isDraining = true;
      listSets(roles).forEach(({ set }) => set.drain());
    },
    longestRunMs: () => findLongestRun(roles),
    async close() {
      await lastUse;
      listSets(roles).forEach(({ set }) => retired.add(set));
      await retired.closed();
    },
  };

  async function switchTo(rollout: Rollout): Promise<boolean> {
    const before = roles;
    const next = await openRoles(rollout, { config, present: before, open: openSet });
    roles = next;
    listOnlyIn(next, before).forEach(adopt);
    listOnlyIn(before, next).forEach(retired.add);
    return describe(before) !== describe(next);
  }

  /** A crashed engine of this set could not be replaced. */
  function drop(set: ModelSet): void {
    if (set === roles.current) return onLost();
    log.error({ profile: set.profile }, 'model set dropped: an engine cannot be replaced');
    roles = withoutTrial(roles, set);
  }
}

function withoutTrial({ current, canary, shadow }: Roles, set: ModelSet): Roles {
  return {
    current,
    ...(canary && canary.set !== set && { canary }),
    ...(shadow && shadow.set !== set && { shadow }),
  };
}

/** Replaced sets, which close when they have assessed their last picture. */
function createRetired(log: Log) {
  const closing = new Set<Promise<void>>();
  return {
    /** Not awaited by a swap: an engine that hangs must not keep later swaps from starting. */
    add(set: ModelSet): void {
      const closed = set
        .close()
        .catch((error: unknown) => log.warn({ err: error }, 'model set failed to close'))
        .finally(() => closing.delete(closed));
      closing.add(closed);
    },
    closed: () => Promise.all(closing),
  };
}

function createAssess(
  roles: () => Roles,
  observed: ReturnType<typeof createObserveModelSets>,
): ModelSets['assess'] {
  return async (picture, { id, rank } = {}) => {
    const { current, canary } = roles();
    const isTried = canary && id !== undefined && isInTrial(id, 'canary', canary.share);
    if (isTried) return await assessByCanary(canary.set, picture, rank);
    const assessed = await current.assess(picture, rank);
    count('current', assessed);
    return assessed;
  };

  /**
   * Skips a picture that will be assessed once more, at a larger size. Throws for a score outside
   * 0..1 or NaN.
   */
  function count(role: Role, { assessment, modelSet }: AssessedBySet): void {
    if (assessment.kind === 'too_small') return;
    observed.assessed(role, statusOfVerdict(decideVerdict(assessment, modelSet.cutPoints)));
  }

  async function assessByCanary(
    canary: ModelSet,
    picture: Picture,
    rank: number | undefined,
  ): Promise<AssessedBySet> {
    try {
      const assessed = await canary.assess(picture, rank);
      count('canary', assessed);
      return assessed;
    } catch (cause) {
      observed.assessed('canary', 'failed');
      throw new CanaryFailure('the canary cannot assess the image', { cause });
    }
  }
}

function findLongestRun({ current, canary }: Roles): number {
  return Math.max(current.longestRunMs(), canary?.set.longestRunMs() ?? 0);
}

function listSets({ current, canary, shadow }: Roles) {
  const sets: { role: Role; set: ModelSet; share: number }[] = [
    { role: 'current', set: current, share: 1 },
  ];
  if (canary) sets.push({ role: 'canary', ...canary });
  if (shadow) sets.push({ role: 'shadow', ...shadow });
  return sets;
}

function listOnlyIn(some: Roles, others: Roles): ModelSet[] {
  const theirs = new Set(listSets(others).map(({ set }) => set));
  return listSets(some)
    .map(({ set }) => set)
    .filter((set) => !theirs.has(set));
}

function describe(roles: Roles): string {
  return JSON.stringify(listSets(roles).map(({ role, set, share }) => [role, set.identity, share]));
}
