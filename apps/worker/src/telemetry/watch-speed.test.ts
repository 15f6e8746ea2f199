import type { Log } from '@livegate/core/telemetry';
import { expect, test } from 'vitest';
import { createModelClock } from '../engine/serve-engine.js';
import { watchSpeed } from './watch-speed.js';

/** Minutes in which the models ran at these shares of their speed; the lines that were logged. */
function linesAfter(speeds: number[], tookMs = 30_000): string[] {
  const lines: string[] = [];
  const write = (_: object, line: string) => void lines.push(line);
  let ms = 0;
  const watch = watchSpeed({ warn: write, info: write } as unknown as Log, () => ms);
  for (const speed of speeds) {
    watch.ran({ tookMs, expectedMs: speed * tookMs });
    ms += 60_000;
    watch.ran({ tookMs: 0, expectedMs: 0 });
  }
  return lines;
}

const slow = 'models run at less than half of their speed at the start';

test('a worker with less than half of its speed for three minutes says so once', () => {
  expect(linesAfter([0.4, 0.4])).toEqual([]);
  expect(linesAfter([0.4, 0.4, 0.4, 0.4, 0.4])).toEqual([slow]);
});

test('a worker that has its speed again says so, and may be slow again', () => {
  const again = 'models run at their speed again';
  expect(linesAfter([0.4, 0.4, 0.4, 0.9])).toEqual([slow, again]);
  expect(linesAfter([0.4, 0.4, 0.4, 0.9, 0.1, 0.1, 0.1])).toEqual([slow, again, slow]);
});

test('a slow minute between others, and minutes with few runs, are not reported', () => {
  expect(linesAfter([0.4, 0.4, 0.6, 0.4, 0.4])).toEqual([]);
  expect(linesAfter([0.1, 0.1, 0.1, 0.1], 900)).toEqual([]);
});

test('the speed is that of an assessment against the fastest practice run', async () => {
  let ms = 0;
  let takes = 0;
  const run = async () => {
    ms += takes;
    return {};
  };
  const clock = createModelClock(() => ms);
  const session = clock.watch('fr', { run, close: async () => undefined });
  for (takes of [90, 10, 40]) await session.run(new Float32Array(100));

  clock.start();
  takes = 60;
  await session.run(new Float32Array(200));
  takes = 15;
  await session.run(new Float32Array(200));
  expect(clock.stop()).toEqual({ tookMs: 75, expectedMs: 20 + 15 });
});
