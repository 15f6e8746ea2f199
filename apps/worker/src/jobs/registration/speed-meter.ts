/** A measurement has at least this busy time. */
const MIN_BUSY_MS = 1000;
/** At least this many checks end in a measurement. */
const MIN_CHECKS = 4;
/** How much a measurement counts against the earlier ones. */
const WEIGHT = 0.3;

export interface SpeedMeterOptions {
  /** Checks that this worker has at once. */
  concurrency: number;
  /** Assumed until the first measurement. */
  workPerSecond: number;
}

/** Measures how much work of checks this worker does in a second while it has enough to do. */
export interface SpeedMeter {
  /** Runs one check. Its work counts if it succeeds. */
  around<Result>(work: number, run: () => Promise<Result>): Promise<Result>;
  workPerSecond(): number;
}

/** `now` is a monotonic clock in milliseconds. */
export function createSpeedMeter(
  { concurrency, workPerSecond: assumed }: SpeedMeterOptions,
  now: () => number = () => performance.now(),
): SpeedMeter {
  let speed = assumed;
  let isMeasured = false;
  let running = 0;
  let since = now();
  const busy = { ms: 0, work: 0, checks: 0 };

  return {
    async around(work, run) {
      change(1);
      // The checks of one batch begin and end together, so either end of a check decides.
      const beganBusy = isBusy();
      try {
        const result = await run();
        if (beganBusy || isBusy()) busy.work += work;
        return result;
      } finally {
        if (beganBusy || isBusy()) busy.checks += 1;
        change(-1);
        measure();
      }
    },
    workPerSecond: () => Math.round(speed),
  };

  /** A worker with fewer checks waits for more, so it could do more work. */
  function isBusy(): boolean {
    return running > concurrency / 2;
  }

  function change(by: 1 | -1): void {
    const at = now();
    if (isBusy()) busy.ms += at - since;
    since = at;
    running += by;
  }

  function measure(): void {
    if (busy.ms < MIN_BUSY_MS || busy.checks < MIN_CHECKS) return;
    const measured = (1000 * busy.work) / busy.ms;
    // Canceled checks alone do no work, which says nothing about the speed.
    if (measured > 0) speed = isMeasured ? speed + WEIGHT * (measured - speed) : measured;
    isMeasured ||= measured > 0;
    Object.assign(busy, { ms: 0, work: 0, checks: 0 });
  }
}
