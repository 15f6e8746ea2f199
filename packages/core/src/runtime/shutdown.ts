import type { Log } from './log.js';

/** A step of the way down. */
export type Closer = () => unknown;

/**
 * On SIGTERM, SIGINT, or when the parent process is gone: runs the closers in order, one after
 * another, then ends the process. It ends with status 1 when they take longer than `graceMs`.
 */
export function closeOnSignal(closers: Closer[], graceMs: number, log: Log): void {
  let closing = false;

  async function close(reason: string): Promise<void> {
    if (closing) return;
    closing = true;
    log.info({ reason }, 'stopping');
    setTimeout(() => {
      log.error({ graceMs }, 'not stopped in time');
      process.exit(1);
    }, graceMs).unref();
    for (const closer of closers) await closer();
    log.info('stopped');
    process.exit(0);
  }

  const closeOrDie = (reason: string) =>
    void close(reason).catch((error: unknown) => {
      log.error({ err: error }, 'stopping failed');
      process.exit(1);
    });
  process.once('SIGTERM', () => closeOrDie('SIGTERM'));
  process.once('SIGINT', () => closeOrDie('SIGINT'));
  process.once('disconnect', () => closeOrDie('the parent process is gone'));
}
