/** The longest pause between two looks that see something. */
export const LOOK_MS = 400;
const RETRY_MS = 100;

export interface KeepLookingOptions {
  /** How long what was seen counts once looks fail. */
  staleAfterMs: number;
  /** Called when that time is over. */
  onLost(error: unknown): void;
}

export interface Sight<T> {
  /** Settles after the first look, whatever came of it. */
  firstLook: Promise<void>;
  /** What the last look saw; `undefined` while nothing can be seen. */
  seen(): T | undefined;
  close(): void;
}

/** Looks again and again until closed. */
export function keepLooking<T extends object>(
  look: () => Promise<T>,
  { staleAfterMs, onLost }: KeepLookingOptions,
): Sight<T> {
  let seen: T | undefined;
  let seenAt = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const firstLook = lookOnce();

  return {
    firstLook,
    seen: () => seen,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };

  async function lookOnce(): Promise<void> {
    const pauseMs = await look().then(see, miss);
    if (!closed) timer = setTimeout(() => void lookOnce(), pauseMs);
  }

  function see(sight: T): number {
    seen = sight;
    seenAt = performance.now();
    return LOOK_MS;
  }

  /** One look that fails is no outage: a connection may just have been lost and opened again. */
  function miss(error: unknown): number {
    if (seen && performance.now() - seenAt >= staleAfterMs) {
      seen = undefined;
      onLost(error);
    }
    return RETRY_MS;
  }
}
