import type { Log } from './log.js';

/** A step of the way down. */
export type Closer = () => unknown;

/** How a process ends: at SIGTERM, at SIGINT, or when its parent process is gone. */
export interface Shutdown {
  /** Aborts at the first of these, also while the process is starting. */
  signal: AbortSignal;
  /**
   * Closers run one after another, the latest first. Throws when the process is stopping: then nothing
   * more may be opened, and what was just opened ends with the process.
   */
  add(closer: Closer): void;
  /** Where to report, and how long all closers together may take. The process exits with 1 after that. */
  configure(settings: ShutdownSettings): void;
}

export interface ShutdownSettings {
  log: Log;
  graceMs: number;
}

/**
 * Runs a process until it is told to stop. `start` imports what it starts: process 1 of a container
 * ignores every signal that it has no handler for, and nobody sends it twice.
 */
export async function runUntilShutdown(start: (shutdown: Shutdown) => Promise<void>) {
  const shutdown = handleShutdown();
  try {
    await start(shutdown);
  } catch (error) {
    // A start that was broken off is no failure: its process is about to end.
    if (shutdown.signal.aborted) return;
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}

function handleShutdown(): Shutdown {
  const stopping = new AbortController();
  const closers: Closer[] = [];
  let settings: ShutdownSettings | undefined;

  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop(signal));
  process.once('disconnect', () => stop(PARENT_GONE));
  // The parent may have left before these lines.
  // oxlint-disable-next-line typescript/no-unnecessary-boolean-literal-compare -- `undefined` without a parent
  if (process.connected === false) stop(PARENT_GONE);

  return {
    signal: stopping.signal,
    add(closer) {
      stopping.signal.throwIfAborted();
      closers.push(closer);
    },
    configure: (given) => void (settings = given),
  };

  function stop(reason: string): void {
    if (stopping.signal.aborted) return;
    settings?.log.info({ reason }, 'stopping');
    stopping.abort();
    if (settings) endAfter(settings);
    close().catch((error: unknown) => {
      settings?.log.error({ err: error }, 'stopping failed');
      process.exit(1);
    });
  }

  async function close(): Promise<void> {
    for (const closer of closers.toReversed()) await closer();
    settings?.log.info('stopped');
    process.exit(0);
  }
}

const PARENT_GONE = 'the parent process is gone';

function endAfter({ log, graceMs }: ShutdownSettings): void {
  setTimeout(() => {
    log.error({ graceMs }, 'not stopped in time');
    process.exit(1);
  }, graceMs).unref();
}
