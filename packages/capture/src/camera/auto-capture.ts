/** A person holds still for about this long without effort. */
const WINDOW_MS = 2000;
/** One good frame can be chance. */
const GOOD_IN_A_ROW = 2;

/**
 * Chooses the moment: two good frames in a row open a window of two seconds, and its best frame wins.
 * `Frame` is what the caller wants back.
 */
export function createAutoCapture<Frame>() {
  let goodInARow = 0;
  let opened: number | undefined;
  let best: { score: number; frame: Frame } | undefined;

  return {
    /** Whether the frame may still win. */
    holds: (frame: Frame) => best?.frame === frame,
    /**
     * Takes the next frame, at a time in milliseconds; without a score it is not good. Returns the
     * winner once the window is over.
     */
    step(at: number, good?: { score: number; frame: Frame }): Frame | undefined {
      goodInARow = good ? goodInARow + 1 : 0;
      if (good && (!best || good.score > best.score)) best = good;
      if (opened === undefined) {
        if (goodInARow >= GOOD_IN_A_ROW) opened = at;
        // A good frame before a bad one is not part of a window.
        else if (!good) best = undefined;
        return undefined;
      }
      return at - opened >= WINDOW_MS ? best?.frame : undefined;
    },
  };
}
