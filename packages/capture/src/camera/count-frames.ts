/** What the gateway asks about the frames of a camera (docs/reference/sessions.md, "Signals"). */
export interface FrameCount {
  frames: number;
  /** Standard deviation of the time between frames. */
  jitterMs: number;
}

/** Resolves with the time of the next new frame, in milliseconds of the browser's monotonic clock. */
export function nextFrame(video: HTMLVideoElement): Promise<number> {
  if ('requestVideoFrameCallback' in video) {
    return new Promise((resolve) => {
      video.requestVideoFrameCallback((now, { captureTime }) => resolve(captureTime ?? now));
    });
  }
  // Firefox before version 132: the time of the media changes with each frame.
  const old = video as HTMLVideoElement;
  const before = old.currentTime;
  return new Promise((resolve) => {
    const look = (now: number) => {
      if (old.currentTime === before) requestAnimationFrame(look);
      else resolve(now);
    };
    requestAnimationFrame(look);
  });
}

/** Counts the frames of the video until the signal aborts. */
export function countFrames(video: HTMLVideoElement, signal: AbortSignal): () => FrameCount {
  // Welford's algorithm: the mean and the sum of squares so far.
  let [frames, mean, squares, last] = [0, 0, 0, 0];

  void (async () => {
    while (!signal.aborted) {
      const at = await nextFrame(video);
      frames += 1;
      if (frames > 1) {
        const gap = at - last;
        const fromOldMean = gap - mean;
        mean += fromOldMean / (frames - 1);
        squares += fromOldMean * (gap - mean);
      }
      last = at;
    }
  })();

  return () => ({ frames, jitterMs: frames > 2 ? Math.sqrt(squares / (frames - 2)) : 0 });
}
