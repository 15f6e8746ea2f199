import { expect, test } from 'vitest';
import { type CpuProfile, describeOwners, listOwnTimes, scaleTo } from './profile.js';

const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 6 });

/** A callback of Redis that writes to its socket, a log line, a pause, and the collector. */
const profile: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame('(root)'), children: [2, 4, 5, 6] },
    {
      id: 2,
      callFrame: frame('sendCommand', 'file:///x/node_modules/ioredis/r.js'),
      children: [3],
    },
    { id: 3, callFrame: frame('writev', 'node:net') },
    { id: 4, callFrame: frame('(idle)') },
    { id: 5, callFrame: frame('(garbage collector)') },
    { id: 6, callFrame: frame('', 'file:///x/apps/worker/dist/inference/crop-view.js') },
  ],
  startTime: 1000,
  samples: [2, 3, 4, 5, 6, 3],
  timeDeltas: [1000, 2000, 3000, 1000, 4000, 9000],
};

test('the time of a window is counted for the code that took it, without pauses', () => {
  expect(listOwnTimes(profile, { from: 3000, to: 12_000 })).toEqual([
    { owner: 'Redis', code: 'writev node:net:7', ms: 2 },
    { owner: 'garbage collection', code: '(garbage collector)', ms: 1 },
    { owner: 'crops and frames', code: '(anonymous) worker/dist/inference/crop-view.js:7', ms: 4 },
  ]);
});

test('CPU time that no profile has is that of native threads', () => {
  const times = listOwnTimes(profile, { from: 0, to: 100_000 });
  const text = describeOwners('worker', times, { cpuMs: 40, checks: 2 });
  expect(text).toMatch(/^ *Redis +6 +30 %$/m);
  expect(text).toMatch(/^ *native threads: libvips, V8 +11.5 +58 %$/m);
  expect(text).toMatch(/^ *all +20 *$/m);
  expect(text).toMatch(/^ *Redis: writev node:net:7 +5.5$/m);
});

test('the samples of a thread are shares of the CPU time that it had', () => {
  const own = (ms: number) => ({ owner: 'Redis', code: 'a', ms });
  expect(scaleTo(10, [own(30), own(10)])).toEqual([own(7.5), own(2.5)]);
  expect(scaleTo(undefined, [own(30)])).toEqual([own(30)]);
});
