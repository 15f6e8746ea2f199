import { getMeter, type Log } from '@livegate/core/telemetry';
import type { ModelTime } from '../engine/open-engine.js';

const WINDOW_MS = 60_000;
/** A window counts if the models ran for this time in it: a few runs say little. */
const LEAST_MS = 1000;
/** Share of the expected speed below which a window counts as slow. */
const SLOW = 0.5;
/** Slow windows in a row that are reported. */
const WINDOWS = 3;

export interface SpeedWatch {
  ran(time: ModelTime): void;
}

/**
 * Compares the models' speed with that of the practice runs at the start. A low speed means that
 * other programs, a lower CPU quota or too many engines take the cores that the layout needs.
 */
export function watchSpeed(log: Log, now = () => performance.now()): SpeedWatch {
  let since = now();
  let current: ModelTime = { tookMs: 0, expectedMs: 0 };
  let speed = 1;
  let slowWindows = 0;
  getMeter()
    .createObservableGauge('livegate.engine.speed', {
      description:
        'Speed of the models in the last minute with work, as a share of that at the start.',
      unit: '1',
    })
    .addCallback((observe) => observe.observe(speed));

  return {
    ran({ tookMs, expectedMs }) {
      if (now() - since >= WINDOW_MS) closeWindow();
      current = {
        tookMs: current.tookMs + tookMs,
        expectedMs: current.expectedMs + expectedMs,
      };
    },
  };

  function closeWindow(): void {
    const { tookMs, expectedMs } = current;
    since = now();
    current = { tookMs: 0, expectedMs: 0 };
    if (tookMs < LEAST_MS) return;
    speed = expectedMs / tookMs;
    const wasSlow = slowWindows >= WINDOWS;
    slowWindows = speed < SLOW ? slowWindows + 1 : 0;
    if (slowWindows === WINDOWS)
      log.warn({ speed }, 'models run at less than half of their speed at the start');
    if (wasSlow && slowWindows === 0) log.info({ speed }, 'models run at their speed again');
  }
}
