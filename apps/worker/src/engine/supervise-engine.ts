import type { Log } from '@livegate/core/telemetry';
import { type Engine, EngineCrash } from './open-engine.js';

export interface SupervisedEngine extends Pick<Engine, 'assess' | 'close'> {
  /** Runs that it was given and has not answered; all but one of them wait. */
  runs(): number;
  /** How long the present run has been going; 0 between runs. */
  runMs(): number;
}

export interface SupervisorDeps {
  log: Log;
  /** Called when no engine could be opened in the place of a dead one. */
  onLost(): void;
}

/**
 * An engine that outlives its thread: after a crash the next one is opened at once, and what comes
 * meanwhile waits for it. The crash itself is passed on, for the images were lost with the thread.
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
      const asked = current;
      try {
        const engine = await asked;
        runningSince ??= performance.now();
        return await engine.assess(pictures);
      } catch (error) {
        // What waited in it crashes as well; the first one sees to the next engine.
        if (error instanceof EngineCrash && asked === current) replace(error);
        throw error;
      } finally {
        runs--;
        // Not what waits for another engine to open, which may take minutes.
        runningSince = runs > 0 && asked === current ? performance.now() : undefined;
      }
    },
    runs: () => runs,
    runMs: () => (runningSince === undefined ? 0 : performance.now() - runningSince),
    async close() {
      await (await current).close();
    },
  };

  function replace(crash: EngineCrash): void {
    log.error({ err: crash }, 'an engine crashed; opening another');
    current = open();
    current.catch((error: unknown) => {
      log.fatal({ err: error }, 'no engine could be opened in its place');
      onLost();
    });
  }
}
