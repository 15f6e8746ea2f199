import { expect, it } from 'vitest';
import { createAutoCapture } from './auto-capture.js';

const good = (score: number, frame = `frame of ${score}`) => ({ score, frame });

it('takes the best frame of the two seconds after two good frames in a row', () => {
  const auto = createAutoCapture<string>();
  expect(auto.step(0, good(1))).toBeUndefined();
  expect(auto.step(100, good(2))).toBeUndefined();
  expect(auto.step(1000, good(5))).toBeUndefined();
  expect(auto.step(1500)).toBeUndefined();
  expect(auto.step(2099, good(3))).toBeUndefined();
  expect(auto.step(2100, good(4))).toBe('frame of 5');
});

it('never takes a frame while good and bad ones alternate', () => {
  const auto = createAutoCapture<string>();
  for (let at = 0; at < 10_000; at += 200) {
    expect(auto.step(at, good(1))).toBeUndefined();
    expect(auto.step(at + 100)).toBeUndefined();
  }
});

it('does not take a frame from before the window, however good it was', () => {
  const auto = createAutoCapture<string>();
  auto.step(0, good(9));
  auto.step(100);
  auto.step(200, good(1));
  auto.step(300, good(2));
  expect(auto.step(2300)).toBe('frame of 2');
});

it('holds only the frame that may win, so that the canvases of the others can be used again', () => {
  const auto = createAutoCapture<string>();
  auto.step(0, good(2, 'first'));
  auto.step(100, good(1, 'second'));
  expect(['first', 'second'].map(auto.holds)).toEqual([true, false]);
});
