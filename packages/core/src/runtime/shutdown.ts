/** A step of the way down. */
export type Closer = () => unknown;

/** How a process ends: at SIGTERM, at SIGINT, or when its parent process is gone. */
export interface Shutdown {
  /** Aborts at the first of these, also while the process is starting. */
  signal: AbortSignal;
  /** Where to report, and how long the way down may take. Call it before anything is opened. */
  configure(settings: ShutdownSettings): void;
  /**
   * Closers run one after another, the latest first. Throws when the process is stopping already, which
   * ends its start; the closer runs in that case as well.
   */
  add(closer: Closer): void;
}

/** Pino's, and most others. */
export interface ShutdownLog {
  info(facts: object | string, message?: string): void;
  error(facts: object, message: string): void;
}

export interface ShutdownSettings {
  log: ShutdownLog;
  /** The process ends with status 1 when stopping takes longer. */
  graceMs: number;
}

/**
 * Runs a process until it is told to stop. `start` imports what it starts: process 1 of a container
 * ignores every signal that it has no handler for, and nobody sends it twice.
 */
export async function runUntilShutdown(start: (shutdown: Shutdown) => Promise<void>) {
  const stopping = new AbortController();
  const { signal } = stopping;
  const closers: Closer[] = [];
  let settings: ShutdownSettings | undefined;
  let started = Promise.resolve();

  onSignals((reason) => {
    if (signal.aborted) return;
    stopping.abort();
    // Nothing is open yet.
    if (!settings) process.exit(0);
    void end(reason, settings);
  });
  started = start({
    signal,
    configure(given) {
      signal.throwIfAborted();
      settings = given;
    },
    add(closer) {
      closers.push(closer);
      signal.throwIfAborted();
    },
  });
  await started.catch((error: unknown) => {
    // A start that was broken off is no failure.
    if (signal.aborted) return;
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  });

  async function end(reason: string, { log, graceMs }: ShutdownSettings): Promise<void> {
    log.info({ reason }, 'stopping');
    setTimeout(() => {
      log.error({ graceMs }, 'not stopped in time');
      process.exit(1);
    }, graceMs).unref();
    try {
      // To exit while a start loads native code in threads would crash the process.
      await started.catch(() => undefined);
      for (const closer of closers.toReversed()) await closer();
      log.info('stopped');
      process.exit(0);
    } catch (error) {
      log.error({ err: error }, 'stopping failed');
      process.exit(1);
    }
  }
}

function onSignals(stop: (reason: string) => void): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop(signal));
  process.once('disconnect', () => stop(PARENT_GONE));
  // The parent may have left before these lines.
  // oxlint-disable-next-line typescript/no-unnecessary-boolean-literal-compare -- `undefined` without a parent
  if (process.connected === false) stop(PARENT_GONE);
}

const PARENT_GONE = 'the parent process is gone';
