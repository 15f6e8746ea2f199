import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { AssessedImage } from '../inference/pipeline.js';
import type { ModelSet } from './model-set.js';
import type { Roles } from './open-roles.js';
import { type AnsweredCheck, createLoad, createShadowChecks } from './shadow-checks.js';

const observed = vi.hoisted(() => ({ missed: [] as string[], agreed: 0 }));
vi.mock('../telemetry/observe-model-sets.js', () => ({
  createObserveShadow: () => ({
    missed: (reason: string) => observed.missed.push(reason),
    compared: () => (observed.agreed += 1),
  }),
}));
beforeEach(() => Object.assign(observed, { missed: [], agreed: 0 }));

const facts = { models: [], cutPoints: { moderate: 0.4, high: 0.7 } };
const current = { facts } as unknown as ModelSet;
const shadow = { set: current, share: 1 };
const verdict = { kind: 'scored', spoofProbability: 0.1, status: 'LOW' } as const;
const MB = 1024 * 1024;

/** A shadow that notes the first byte of each image that it judges. */
function setUp({
  untilIdle = () => Promise.resolve(),
  roles = () => ({ current, shadow }) as Roles,
  beforeEnd = (): Promise<void> | void => undefined,
} = {}) {
  const judged: number[] = [];
  const checks = createShadowChecks({
    roles,
    untilIdle,
    isLarge: (image) => image[0] === 255,
    async assess([first = 0]) {
      judged.push(first);
      await beforeEnd();
      return { assessment: { kind: 'no_face' } } as AssessedImage;
    },
  });
  const offer = (byte: number, change: Partial<AnsweredCheck> = {}) =>
    checks.offer({
      id: `${byte}`,
      image: Uint8Array.of(byte),
      verdict,
      modelSet: facts,
      ...change,
    });
  const settle = () => new Promise(setImmediate);
  return { ...checks, offer, judged, settle };
}

test('a check is judged only after it has ended', async () => {
  const { offer, ended, judged, settle } = setUp();
  offer(1);
  offer(2);
  ended('2', 'kept');
  await settle();
  expect(judged).toEqual([2]);
  ended('1', 'kept');
  await settle();
  expect(judged).toEqual([2, 1]);
});

test('a check that was deleted while it ran is never judged', async () => {
  const { offer, ended, judged, settle } = setUp();
  offer(1);
  ended('1', 'deleted');
  ended('1', 'kept');
  await settle();
  expect(judged).toEqual([]);
});

test('answers of other models than the current ones, and large images, are left out', async () => {
  const { offer, ended, judged, settle } = setUp();
  offer(1, { modelSet: { ...facts } });
  offer(255);
  for (const id of ['1', '255']) ended(id, 'kept');
  await settle();
  expect(judged).toEqual([]);
  expect(observed.missed).toEqual(['large']);
});

test('checks outside of the share of the shadow are left out', async () => {
  const roles = () => ({ current, shadow: { ...shadow, share: 0 } });
  const { offer, ended, judged, settle } = setUp({ roles });
  offer(1);
  ended('1', 'kept');
  await settle();
  expect(judged).toEqual([]);
});

test('what is left out takes no room from the others', async () => {
  const { offer, ended, judged, settle } = setUp();
  offer(1);
  const image = new Uint8Array(30 * MB);
  for (const id of ['2', '3']) offer(2, { id, image, modelSet: { ...facts } });
  ended('1', 'kept');
  await settle();
  expect(judged).toEqual([1]);
  expect(observed).toEqual({ missed: [], agreed: 1 });
});

test('a check is not judged once its models or the shadow have been replaced', async () => {
  let present: Roles = { current, shadow };
  const { offer, ended, judged, settle } = setUp({ roles: () => present });
  const other = { facts: { ...facts } } as unknown as ModelSet;
  for (const next of [{ current: other, shadow }, { current }]) {
    present = { current, shadow };
    offer(1);
    present = next;
    ended('1', 'kept');
    await settle();
  }
  expect(judged).toEqual([]);
  expect(observed.missed).toEqual([]);
});

test('the shadow judges one image at a time, and a failure is counted', async () => {
  const ends: (() => void)[] = [];
  const beforeEnd = () =>
    new Promise<void>((_resolve, reject) => ends.push(() => reject(new Error('broken'))));
  const { offer, ended, judged, settle } = setUp({ beforeEnd });
  for (const byte of [1, 2]) {
    offer(byte);
    ended(`${byte}`, 'kept');
  }
  await settle();
  expect(judged).toEqual([1]);
  ends.shift()!();
  await settle();
  expect(judged).toEqual([1, 2]);
  expect(observed.missed).toEqual(['failed']);
  ends.shift()!();
  await settle();
  expect(observed.missed).toEqual(['failed', 'failed']);
});

test('a check that is deleted while it waits for an idle engine does not stop the others', async () => {
  let idle = () => {};
  const untilIdle = () => new Promise<void>((resolve) => (idle = resolve));
  const { offer, ended, judged, settle } = setUp({ untilIdle });
  offer(1);
  ended('1', 'kept');
  ended('1', 'deleted');
  idle();
  await settle();
  offer(2);
  ended('2', 'kept');
  idle();
  await settle();
  expect(judged).toEqual([2]);
});

test('images of exactly 32 MB have room', async () => {
  const { offer, ended, judged, settle } = setUp();
  for (const byte of [1, 2]) offer(byte, { image: new Uint8Array(16 * MB).fill(byte) });
  for (const id of ['1', '2']) ended(id, 'kept');
  await settle();
  expect(judged).toEqual([1, 2]);
});

test('checks wait for an idle engine, and the oldest are dropped when their images fill 32 MB', async () => {
  let idle = () => {};
  const untilIdle = () => new Promise<void>((resolve) => (idle = resolve));
  const { offer, ended, judged, settle } = setUp({ untilIdle });
  for (const byte of [1, 2, 3, 4, 5]) {
    offer(byte, { image: new Uint8Array(10 * MB).fill(byte) });
    ended(`${byte}`, 'kept');
  }
  await settle();
  expect(judged).toEqual([]);
  for (let i = 0; i < 5; i++) {
    idle();
    await settle();
  }
  expect(judged).toEqual([3, 4, 5]);
  expect(observed.missed).toEqual(['busy', 'busy']);
});

test('a check that has waited for 10 s is dropped at the next end of a check', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  let idle = () => {};
  const { offer, ended, judged, settle } = setUp({
    untilIdle: () => new Promise<void>((resolve) => (idle = resolve)),
  });
  offer(1);
  ended('1', 'kept');
  vi.advanceTimersByTime(9000);
  offer(2);
  ended('2', 'kept');
  vi.advanceTimersByTime(1000);
  ended('of another share', 'kept');
  for (let i = 0; i < 2; i++) {
    idle();
    await settle();
  }
  expect(judged).toEqual([2]);
  expect(observed.missed).toEqual(['busy']);
});

test('an engine that has more than one image in work is not idle when the first one ends', async () => {
  const load = createLoad(() => 1);
  const ends: (() => void)[] = [];
  const start = () => load.during(() => new Promise<void>((resolve) => ends.push(resolve)));
  const works = [start(), start()];
  let isIdle = false;
  const idle = load.untilIdle().then(() => (isIdle = true));
  ends.shift()!();
  await works[0];
  await new Promise(setImmediate);
  expect(isIdle).toBe(false);
  ends.shift()!();
  await Promise.all([...works, idle]);
});

test('an engine is idle while fewer images are in work than there are engines', async () => {
  const load = createLoad(() => 2);
  const ends: (() => void)[] = [];
  const start = () => load.during(() => new Promise<void>((resolve) => ends.push(resolve)));
  const first = start();
  await load.untilIdle();
  const second = start();
  let isIdle = false;
  const idle = load.untilIdle().then(() => (isIdle = true));
  await new Promise(setImmediate);
  expect(isIdle).toBe(false);
  ends.shift()!();
  await first;
  await idle;
  ends.shift()!();
  await second;
});
