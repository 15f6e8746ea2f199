/**
 * Rejects after the limit; the work itself continues. An answer that has arrived by then counts. If
 * the event loop is late, timers run before answers are read, so the rejection waits for one turn.
 */
export async function limitTime<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    const tooLate = () => reject(new Error(`no answer within ${limitMs} ms`));
    timer = setTimeout(() => setImmediate(tooLate), limitMs);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

/** Rejects with the signal's reason when it aborts; the work itself continues. */
export async function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
  });
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', stop));
}
