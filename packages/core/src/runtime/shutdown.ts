/** One step of the shutdown. */
export type Closer = () => unknown;

/** Stops a process at SIGTERM, at SIGINT, or when its parent process ends. */
export interface Shutdown {
  /** Aborts at the first of these events, also during the start. */
  signal: AbortSignal;
  /** Sets the log and the time limit of the shutdown. Call it before opening a resource. */
  configure(settings: ShutdownSettings): void;
  /**
   * Closers run one after another, the latest first. Throws if the process is already stopping,
   * which ends the start; the closer still runs.
   */
  add(closer: Closer): void;
}

/** The part of pino's logger that is used here. */
export interface ShutdownLog {
  info(facts: object | string, message?: string): void;
  error(facts: object, message: string): void;
}

export interface ShutdownSettings {
  log: ShutdownLog;
  /** Time limit of the shutdown; after it, the process exits with status 1. */
  graceMs: number;
}

/**
 * Runs a process until it must stop. `start` loads the app by a dynamic import, so that the signal
 * handlers exist first: process 1 of a container ignores a signal without a handler.
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
    // Before `configure` no resource is open.
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
  await started.catch(async (error: unknown) => {
    // An aborted start is not a failure.
    if (!signal.aborted) await failStart(error, closers, settings?.graceMs);
  });

  async function end(reason: string, { log, graceMs }: ShutdownSettings): Promise<void> {
    log.info({ reason }, 'stopping');
    setTimeout(() => {
      log.error({ graceMs }, 'shutdown timed out');
      process.exit(1);
    }, graceMs).unref();
    try {
      // Exiting while the start loads native code in threads would crash the process.
      await started.catch(() => undefined);
      await closeAll(closers);
      log.info('stopped');
      process.exit(0);
    } catch (error) {
      log.error({ err: error }, 'shutdown failed');
      process.exit(1);
    }
  }
}

/** Exiting while threads run native code would crash the process, so they are closed first. */
async function failStart(reason: unknown, closers: Closer[], graceMs = 0): Promise<void> {
  console.error(reason instanceof Error ? reason.message : reason);
  setTimeout(() => process.exit(1), graceMs).unref();
  await Promise.allSettled([closeAll(closers)]);
  process.exit(1);
}

async function closeAll(closers: Closer[]): Promise<void> {
  for (const closer of closers.toReversed()) await closer();
}

function onSignals(stop: (reason: string) => void): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop(signal));
  process.once('disconnect', () => stop(PARENT_GONE));
  // The parent may have ended before the listener was added.
  // oxlint-disable-next-line typescript/no-unnecessary-boolean-literal-compare -- `undefined` without a parent
  if (process.connected === false) stop(PARENT_GONE);
}

const PARENT_GONE = 'the parent process is gone';
