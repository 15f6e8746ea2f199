import type { Log } from '@livegate/core';
import { EngineCrash, type Engine } from './open-engine.js';

export type KeptEngine = Pick<Engine, 'assess' | 'close'>;

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

  return {
    async assess(images) {
      const engine = await current;
      try {
        return await engine.assess(images);
      } catch (error) {
        if (error instanceof EngineCrash) replace(error);
        throw error;
      }
    },
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
