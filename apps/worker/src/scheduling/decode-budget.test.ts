import { EventEmitter, once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import type { ImageHeader } from '@livegate/core/domain';
import { expect, test } from 'vitest';
import { fromRows } from '../inference/picture.js';
import { createDecodeBudget } from './decode-budget.js';

const megapixels = (count: number) => ({ width: 1000, height: 1000 * count });

/** Baseline: three bytes a pixel for the picture, and three for its copy. */
const photo: ImageHeader = {
  kind: 'jpeg',
  ...megapixels(12),
  components: 3,
  hasEnd: true,
  cost: { samples: 18e6, heldBytes: 0 },
};
const selfie: ImageHeader = { ...photo, ...megapixels(1), cost: { samples: 1.5e6, heldBytes: 0 } };
/** Progressive. */
const large: ImageHeader = {
  ...photo,
  ...megapixels(50),
  cost: { samples: 700e6, heldBytes: 300e6 },
};

const picture = fromRows({ pixels: new Uint8Array(3), width: 1, height: 1 });
const CPUS = 2;
const CAPACITY = 8;

/** A budget, and work under it that runs until the test ends it. */
function openBudget() {
  const budget = createDecodeBudget(CAPACITY, CPUS);
  const begun: string[] = [];
  const start = (name: string, run: (work: () => Promise<void>) => Promise<void>) => {
    const signal = new EventEmitter();
    const end = once(signal, 'end');
    const ended = run(async () => {
      begun.push(name);
      await end;
    });
    return async () => {
      signal.emit('end');
      await ended;
      await settle();
    };
  };
  return {
    begun,
    reserve: (name: string, header: ImageHeader, { factor = 1, rank = 0 } = {}) =>
      start(name, (work) => budget.reserve({ header, factor, rank }, work)),
    decode: (name: string, header: ImageHeader, rank: number) =>
      start(name, async (work) => {
        const decode = async () => work().then(() => picture);
        await budget.limitDecode(decode, rank)(new Uint8Array(), header);
      }),
    runAlone: (name: string) => start(name, (work) => budget.runAlone(work)),
  };
}

/** A budget starts work in a promise callback. */
const settle = () => setImmediate();

test.each([
  { factor: 1, admitted: 8 },
  { factor: 3, admitted: 46 },
  { factor: 5, admitted: 150 },
])(
  'the budget admits $admitted photos of 12 megapixels at 1/$factor, and a further one waits',
  async ({ factor, admitted }) => {
    const { begun, reserve } = openBudget();
    const names = Array.from({ length: admitted + 1 }, (_, i) => `photo ${i}`);
    const ends = names.map((name) => reserve(name, photo, { factor }));
    await settle();
    expect(begun).toHaveLength(admitted);
    await ends[0]!();
    expect(begun).toEqual(names);
  },
);

test('the budget admits one of the largest images at a time, and no other image waits for them', async () => {
  const { begun, reserve } = openBudget();
  const [first] = [reserve('large', large), reserve('next large', large)] as const;
  reserve('photo', photo);
  reserve('selfie', selfie);
  await settle();
  expect(begun).toEqual(['large', 'photo', 'selfie']);
  await first();
  expect(begun).toEqual(['large', 'photo', 'selfie', 'next large']);
});

test('an image that does not fit holds up others of its rank, but none of a lower one', async () => {
  const { begun, reserve } = openBudget();
  const ends = Array.from({ length: 8 }, (_, i) => reserve(`photo ${i}`, photo, { rank: 9 }));
  reserve('ninth', photo, { rank: 9 });
  reserve('selfie', selfie, { rank: 9 });
  reserve('first', selfie, { rank: 1 });
  await settle();
  expect(begun.slice(8)).toEqual(['first']);
  await ends[0]!();
  expect(begun.slice(9)).toEqual(['ninth', 'selfie']);
});

test('two decodes for each core run at once, and of those that wait a lower rank starts first', async () => {
  const { begun, decode } = openBudget();
  const flood = Array.from({ length: 7 }, (_, i) => decode(`flood ${i}`, photo, 9));
  decode('selfie', selfie, 1);
  await settle();
  expect(begun).toEqual(['flood 0', 'flood 1', 'flood 2', 'flood 3']);
  decode('large', large, 9);
  await settle();
  await flood[0]!();
  await flood[1]!();
  expect(begun.slice(4)).toEqual(['large', 'selfie', 'flood 4']);
});

test('an image waits for ten times as many later ones as a worker has, but for no more', async () => {
  const { begun, decode } = openBudget();
  const running = Array.from({ length: 2 * CPUS }, (_, i) => decode(`running ${i}`, photo, 0));
  decode('waiting', photo, 1_000_000);
  for (let i = 0; !begun.includes('waiting'); i += 1) {
    running.push(decode(`later ${i}`, photo, 1));
    await running.shift()!();
  }
  expect(begun.indexOf('waiting')).toBe(2 * CPUS + 10 * CAPACITY);
});

test('work that must run alone starts after all earlier work has ended, and before later work', async () => {
  const { begun, reserve, runAlone } = openBudget();
  const ends = [reserve('selfie', selfie)];
  const end = runAlone('alone');
  await settle();
  reserve('later selfie', selfie);
  reserve('later large', large);
  for (const each of ends) await each();
  expect(begun).toEqual(['selfie', 'alone']);
  await end();
  expect(begun.slice(2).toSorted()).toEqual(['later large', 'later selfie']);
});

test('while work that must run alone waits for a decode apart, other images go on', async () => {
  const { begun, reserve, runAlone } = openBudget();
  const endLarge = reserve('large', large);
  runAlone('alone');
  const endSelfie = reserve('selfie', selfie);
  await settle();
  expect(begun).toEqual(['large', 'selfie']);
  await endLarge();
  reserve('later selfie', selfie);
  await endSelfie();
  expect(begun).toEqual(['large', 'selfie', 'alone']);
});

test('failed work frees what it held', async () => {
  const budget = createDecodeBudget(CAPACITY, CPUS);
  const fail = () => Promise.reject(new Error('broken'));
  for (let i = 0; i < 9; i += 1) {
    await expect(budget.reserve({ header: photo, factor: 1, rank: 0 }, fail)).rejects.toThrow(
      'broken',
    );
    await expect(budget.limitDecode(fail, 0)(new Uint8Array(), photo)).rejects.toThrow('broken');
    await expect(budget.runAlone(fail)).rejects.toThrow('broken');
  }
});
