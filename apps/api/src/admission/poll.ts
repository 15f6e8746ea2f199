/** Pause after a successful read. */
export const POLL_MS = 400;
/** Pause after a failed read. */
const RETRY_MS = 100;

export interface PollOptions {
  /** How long the latest value stays valid while reads fail. */
  staleAfterMs: number;
  /** Called when the latest value becomes stale. */
  onStale(error: unknown): void;
}

export interface Poller<T> {
  /** Settles after the first read, even if that failed. */
  firstRead: Promise<void>;
  /** The result of the last successful read; `undefined` before the first and once it is stale. */
  latest(): T | undefined;
  close(): void;
}

/** Calls `read` periodically until closed. */
export function startPolling<T extends object>(
  read: () => Promise<T>,
  { staleAfterMs, onStale }: PollOptions,
): Poller<T> {
  let latest: T | undefined;
  let latestAt = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const firstRead = poll();

  return {
    firstRead,
    latest: () => latest,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };

  async function poll(): Promise<void> {
    const pauseMs = await read().then(keep, miss);
    if (!closed) timer = setTimeout(() => void poll(), pauseMs);
  }

  function keep(value: T): number {
    latest = value;
    latestAt = performance.now();
    return POLL_MS;
  }

  /** One failed read is not an outage: the connection may just have been reopened. */
  function miss(error: unknown): number {
    if (latest && performance.now() - latestAt >= staleAfterMs) {
      latest = undefined;
      onStale(error);
    }
    return RETRY_MS;
  }
}
