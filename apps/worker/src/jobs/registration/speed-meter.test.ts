import { expect, test } from 'vitest';
import { createSpeedMeter } from './speed-meter.js';

/** A worker with four slots whose checks take `checkMs` each; every slot always has one. */
async function work(slots: number, { checkMs = 100, checks = 100, fails = false } = {}) {
  let at = 0;
  const meter = createSpeedMeter({ concurrency: 4, workPerSecond: 1000 }, () => at);
  const ends: (() => void)[] = [];
  const begin = () => {
    const ended = new Promise<void>((resolve, reject) =>
      ends.push(fails ? () => reject(new Error('canceled')) : resolve),
    );
    return meter.around(50, () => ended).catch(() => undefined);
  };
  let running = Array.from({ length: slots }, begin);
  for (let i = 0; i < checks / slots; i++) {
    at += checkMs;
    ends.splice(0).forEach((end) => end());
    await Promise.all(running);
    running = Array.from({ length: slots }, begin);
  }
  return meter.workPerSecond();
}

test('a worker that always has enough checks measures its speed', async () => {
  for (const [checkMs, speed] of [
    [100, 2000],
    [10, 20_000],
  ] as const) {
    const measured = (await work(4, { checkMs, checks: 2000 })) / speed;
    expect(measured).toBeGreaterThan(0.9);
    expect(measured).toBeLessThan(1.1);
  }
});

test('the time in which a worker waits for checks does not lower its speed', async () => {
  expect(await work(1)).toBe(1000);
});

test('failed checks count as no work, and do not lower the speed of a worker', async () => {
  expect(await work(4, { fails: true })).toBe(1000);
});
