import { join } from 'node:path';
import {
  parseRollout,
  readRollout,
  type Rollout,
  ROLLOUT_FILE,
  type RolloutSettings,
  startingRollout,
} from '@livegate/worker/models/rollout';
import { writeAtomically } from './prepare-models.js';

/** Shares of the checks, 0..1. A profile with a share is tried, and does not replace the others. */
export interface TrialShares {
  /** For the canary; 0 ends it. */
  canary?: number | undefined;
  /** For the shadow; 0 ends it. */
  shadow?: number | undefined;
}

/**
 * Tells the workers of a models folder to use a profile: for all checks, which ends all trials, or
 * with `shares` as canary or shadow beside the present profile. `environment` says what the workers
 * use as long as there is no rollout file. Resolves to the new rollout, which workers read within
 * seconds.
 */
export async function useProfile(
  profile: string,
  {
    modelsDir,
    environment,
    ...shares
  }: TrialShares & { modelsDir: string; environment: RolloutSettings },
): Promise<Rollout> {
  const present = (await readRollout(modelsDir)) ?? startingRollout(environment);
  const path = join(modelsDir, ROLLOUT_FILE);
  const text = `${JSON.stringify(planRollout(present, profile, shares), null, 2)}\n`;
  const rollout = parseRollout(text, path);
  await writeAtomically(path, Buffer.from(text));
  return rollout;
}

function planRollout(present: Rollout, profile: string, { canary, shadow }: TrialShares): object {
  if (canary === undefined && shadow === undefined) return { profile };
  const tried = (share: number | undefined, kept: Rollout['canary']) => {
    if (share === undefined) return kept;
    return share === 0 ? undefined : { profile, share };
  };
  return {
    profile: present.profile,
    canary: tried(canary, present.canary),
    shadow: tried(shadow, present.shadow),
  };
}
