import type { EngineLayout, LayoutSettings } from '../engine/choose-layout.js';
import { loadModels, type Tuning } from '../models/load-models.js';
import type { Rollout, Trial } from '../models/rollout.js';
import type { Role } from '../telemetry/observe-model-sets.js';
import { identify, type ModelSet, type ModelSetConfig } from './model-set.js';

/** A model set that gets a share of the checks, 0..1. */
export interface TrialSet {
  set: ModelSet;
  share: number;
}

/** The model sets that a worker uses at one moment. */
export interface Roles {
  /** Answers all checks that the canary does not answer. */
  current: ModelSet;
  canary?: TrialSet;
  /** Judges checks once more, after their answers. */
  shadow?: TrialSet;
}

export interface RolesConfig extends Omit<
  ModelSetConfig,
  'profile' | 'models' | 'facts' | 'oneByOne'
> {
  /** A prepared folder: `catalogue.json` and the files of the profiles. */
  modelsDir: string;
  tuning: Tuning;
}

export type OpenSet = (config: ModelSetConfig, role: Role) => Promise<ModelSet>;

/**
 * Opens the sets of a rollout that `present` does not have. Loads and verifies all models before it
 * opens any. If a model fails, closes what it has opened and rejects with the reason.
 */
export async function openRoles(
  { profile, canary, shadow }: Rollout,
  { config, present, open }: { config: RolesConfig; present: Roles; open: OpenSet },
): Promise<Roles> {
  const { layout, capacity: concurrency } = present.current;
  const planned = { ...config, concurrency };
  // A calibration file belongs to the current profile, whose start it may stop.
  const trials = { ...planned, tuning: { ...config.tuning, calibrationFile: undefined } };
  const plans = {
    current: await plan(profile, layout, planned),
    canary: canary && (await plan(canary.profile, layoutOfCanary(layout, canary), trials)),
    shadow: shadow && (await plan(shadow.profile, layoutOfShadow(layout), trials)),
  };
  const opened: ModelSet[] = [];
  const openOrKeep = async (role: Role, wanted: ModelSetConfig, kept?: ModelSet) => {
    if (kept?.identity === identify(wanted)) return kept;
    const set = await open(wanted, role);
    opened.push(set);
    return set;
  };
  const openTrial = async (role: 'canary' | 'shadow', trial?: Trial) => {
    const wanted = plans[role];
    if (!wanted || !trial) return undefined;
    return { set: await openOrKeep(role, wanted, present[role]?.set), share: trial.share };
  };
  try {
    const current = await openOrKeep('current', plans.current, present.current);
    const canarySet = await openTrial('canary', canary);
    const shadowSet = await openTrial('shadow', shadow);
    return {
      current,
      ...(canarySet && { canary: canarySet }),
      ...(shadowSet && { shadow: shadowSet }),
    };
  } catch (error) {
    await Promise.all(opened.map((set) => set.close()));
    throw error;
  }
}

/** Engines for its share of the checks: each engine takes memory. */
function layoutOfCanary(layout: EngineLayout, { share }: Trial): EngineLayout {
  return { ...layout, engines: Math.max(1, Math.ceil(share * layout.engines)) };
}

/** It runs one image at a time, when an engine of the current set is idle. */
function layoutOfShadow(layout: EngineLayout): EngineLayout {
  return { ...layout, engines: 1, maxBatch: 1 };
}

/** Loads and verifies the models of a profile. */
export async function plan(
  profile: string,
  layout: LayoutSettings,
  { modelsDir, tuning, ...config }: RolesConfig,
): Promise<ModelSetConfig> {
  const { facts, ...models } = await loadModels(modelsDir, profile, tuning);
  return { ...config, profile, models, facts, layout, oneByOne: true };
}
