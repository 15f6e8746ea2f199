import { Worker } from 'node:worker_threads';

/** A thread that sleeps instead of running models: see double-engine.ts. */
export interface FakeEngine {
  /** Runs that have not ended. */
  runs(): number;
  /** Runs follow one another; each takes `ms`. */
  run(ms: number): Promise<void>;
  close(): Promise<number>;
}

export function openFakeEngine(): FakeEngine {
  const thread = new Worker(new URL('./double-engine.js', import.meta.url));
  const awaited: (() => void)[] = [];
  thread.on('message', () => awaited.shift()?.());
  return {
    runs: () => awaited.length,
    run(ms) {
      thread.postMessage(ms, []);
      return new Promise((resolve) => awaited.push(resolve));
    },
    close: () => thread.terminate(),
  };
}
