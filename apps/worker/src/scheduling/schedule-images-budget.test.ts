import { EventEmitter, once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import type { ImageHeader } from '@livegate/core/domain';
import { expect, test } from 'vitest';
import { createDecodeBudget } from './schedule-images.js';

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

/** A budget, and work under it that runs until the test ends it. */
function openBudget() {
  const budget = createDecodeBudget();
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
    };
  };
  return {
    begun,
    start: (name: string, header: ImageHeader) => start(name, (work) => budget.run(header, work)),
    startAlone: (name: string) => start(name, (work) => budget.runAlone(work)),
  };
}

/** A semaphore starts work in a promise callback. */
const settle = () => setImmediate();

test('the budget admits eight photos of 12 megapixels at once, and a ninth waits', async () => {
  const { begun, start } = openBudget();
  const ends = Array.from({ length: 9 }, (_, i) => start(`photo ${i}`, photo));
  await settle();
  expect(begun).toHaveLength(8);
  await ends[0]!();
  await settle();
  expect(begun).toHaveLength(9);
});

test('the budget admits one of the largest images at a time, and no other image waits for them', async () => {
  const { begun, start } = openBudget();
  const [first] = [start('large', large), start('next large', large)] as const;
  start('photo', photo);
  start('selfie', selfie);
  await settle();
  expect(begun).toEqual(['large', 'photo', 'selfie']);
  await first();
  await settle();
  expect(begun).toEqual(['large', 'photo', 'selfie', 'next large']);
});

test('work that must run alone starts after all earlier work has ended, and before later work', async () => {
  const { begun, start, startAlone } = openBudget();
  const ends = [start('large', large), start('selfie', selfie)];
  const end = startAlone('alone');
  start('later selfie', selfie);
  for (const each of ends) await each();
  await settle();
  expect(begun).toEqual(['large', 'selfie', 'alone']);
  await end();
  await settle();
  expect(begun.at(-1)).toBe('later selfie');
});
