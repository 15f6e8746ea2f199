import { type Stats, unwatchFile, watchFile } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Log } from '@livegate/core/telemetry';
import {
  readRollout,
  type Rollout,
  ROLLOUT_FILE,
  type RolloutSettings,
  startingRollout,
} from './rollout.js';

/**
 * How often the file is looked at, in milliseconds: one `stat` each time. It sees a replaced file,
 * the moved symbolic links of a Kubernetes volume and a network drive, which notifications miss.
 */
const WATCH_MS = 1000;

export interface FollowOptions {
  modelsDir: string;
  settings: RolloutSettings;
  /** What `readRollout` returned when the worker started. */
  file: Rollout | undefined;
  log: Log;
  watchMs?: number;
}

export interface RolloutFollower {
  /** Reads file and models again. Calls during a reload share the next one. */
  reload(reason: string): Promise<void>;
  close(): void;
}

/**
 * Swaps the models of a running worker when its models folder changes. A changed rollout file
 * replaces the rollout, also the part from the environment; without the file, the environment
 * decides again. An unchanged file may still name models that have changed. `use` resolves to
 * whether it has swapped the models.
 */
export function followRollout(
  { modelsDir, settings, file, log, watchMs = WATCH_MS }: FollowOptions,
  use: (rollout: Rollout) => Promise<boolean>,
): RolloutFollower {
  let seen = file;
  let rollout = startingRollout(settings, file);
  const path = join(modelsDir, ROLLOUT_FILE);
  const reload = shareRuns(async (reason: string) => {
    try {
      const now = await readRollout(modelsDir);
      if (!isDeepStrictEqual(now, seen)) rollout = now ?? startingRollout(settings);
      seen = now;
      const hasSwapped = await use(rollout);
      log.info({ reason, rollout }, hasSwapped ? 'models swapped' : 'models unchanged');
    } catch (error) {
      log.error({ err: error, reason, rollout }, 'model swap failed, the present models stay');
    }
  });
  const onStat = (now: Stats, before: Stats) => {
    // Node also reports that there is no file, when the watch begins.
    if (now.ctimeMs !== before.ctimeMs || now.ino !== before.ino) void reload('file');
  };
  // Not persistent: it must not keep a stopping worker alive.
  watchFile(path, { interval: watchMs, persistent: false }, onStat);

  return { reload, close: () => unwatchFile(path, onStat) };
}

/** One run at a time. All calls during a run share one more, which begins after it. */
function shareRuns<Reason>(work: (reason: Reason) => Promise<void>) {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const run = (reason: Reason) => {
    next = undefined;
    running = work(reason).finally(() => (running = undefined));
    return running;
  };
  return (reason: Reason): Promise<void> => {
    if (!running) return run(reason);
    next ??= running.then(() => run(reason));
    return next;
  };
}
