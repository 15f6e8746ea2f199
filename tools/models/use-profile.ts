import { readFile } from 'node:fs/promises';
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
  const isTrial = shares.canary !== undefined || shares.shadow !== undefined;
  // Without a trial, the present file does not matter: it may be one to repair.
  const present = isTrial ? await readRollout(modelsDir) : undefined;
  const path = join(modelsDir, ROLLOUT_FILE);
  const plan = planRollout(present ?? startingRollout(environment), profile, shares);
  const text = `${JSON.stringify(plan, null, 2)}\n`;
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

/** Workers with the calibration of another profile would refuse the swap, and not start again. */
export async function requireOwnCalibration(
  profile: string,
  { canary, shadow }: TrialShares,
): Promise<void> {
  const file = process.env['LIVEGATE_CALIBRATION_FILE'];
  if (!file || canary !== undefined || shadow !== undefined) return;
  const fitted = (JSON.parse(await readFile(file, 'utf8')) as { profile?: string }).profile;
  if (fitted === profile) return;
  throw new Error(
    `LIVEGATE_CALIBRATION_FILE=${file} was fitted to the profile ${fitted}: unset it for the ` +
      `workers first, or calibrate ${profile}`,
  );
}
