import type { Log } from '@livegate/core/telemetry';
import { type Engine, EngineCrash } from './open-engine.js';

export interface SupervisedEngine extends Pick<Engine, 'assess' | 'close'> {
  /** Unanswered runs; all but one of them wait. */
  runs(): number;
  /** Milliseconds since the start of the present run; 0 between runs. */
  runMs(): number;
}

export interface SupervisorDeps {
  log: Log;
  /** Called when no engine can be opened to replace a crashed one. */
  onLost(): void;
}

/**
 * An engine that is replaced when its thread crashes. Runs that arrive meanwhile wait for the
 * replacement. The crashed runs reject, because their pixels are lost with the thread.
 */
export async function superviseEngine(
  open: () => Promise<Engine>,
  { log, onLost }: SupervisorDeps,
): Promise<SupervisedEngine> {
  let current = Promise.resolve(await open());
  let runs = 0;
  let runningSince: number | undefined;

  return {
    async assess(pictures) {
      runs++;
      const used = current;
      try {
        const engine = await used;
        runningSince ??= performance.now();
        return await engine.assess(pictures);
      } catch (error) {
        // Every queued request rejects; only the first rejection opens a replacement.
        if (error instanceof EngineCrash && used === current) replace(error);
        throw error;
      } finally {
        runs--;
        // A run that waits for a replacement is not running: opening it may take minutes.
        runningSince = runs > 0 && used === current ? performance.now() : undefined;
      }
    },
    runs: () => runs,
    runMs: () => (runningSince === undefined ? 0 : performance.now() - runningSince),
    async close() {
      await (await current).close();
    },
  };

  function replace(crash: EngineCrash): void {
    log.error({ err: crash }, 'engine crashed, opening a replacement');
    current = open();
    current.catch((error: unknown) => {
      log.fatal({ err: error }, 'engine replacement failed');
      onLost();
    });
  }
}
