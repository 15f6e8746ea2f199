import type { Log } from '@livegate/core';
import { EngineCrash, type Engine } from './open-engine.js';

export interface KeptEngine extends Pick<Engine, 'assess' | 'close'> {
  /** How long the present run has been going; 0 between runs. */
  runMs(): number;
}

export interface KeepEngineDeps {
  log: Log;
  /** Called when no engine could be opened in the place of a dead one. */
  onLost(): void;
}

/**
 * An engine that outlives its thread: after a crash the next one is opened at once, and what comes
 * meanwhile waits for it. The crash itself is passed on, for the images were lost with the thread.
 */
export async function keepEngine(
  open: () => Promise<Engine>,
  { log, onLost }: KeepEngineDeps,
): Promise<KeptEngine> {
  let current = Promise.resolve(await open());
  let runningSince: number | undefined;

  return {
    async assess(images) {
      const engine = await current;
      runningSince = performance.now();
      try {
        return await engine.assess(images);
      } catch (error) {
        if (error instanceof EngineCrash) replace(error);
        throw error;
      } finally {
        runningSince = undefined;
      }
    },
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
