import { EventEmitter, once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import type { ImageHeader } from '@livegate/core/domain';
import { expect, test } from 'vitest';
import { createDecodeBudget } from './schedule-images.js';

const megapixels = (count: number) => ({ width: 1000, height: 1000 * count });

/** Baseline: three bytes a pixel, and as many for the copy. */
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

/** A room, and work in it that goes on until it is told to end. */
function openRoom() {
  const room = createDecodeBudget();
  const begun: string[] = [];
  const start = (name: string, run: (work: () => Promise<void>) => Promise<void>) => {
    const told = new EventEmitter();
    const end = once(told, 'end');
    const ended = run(async () => {
      begun.push(name);
      await end;
    });
    return async () => {
      told.emit('end');
      await ended;
    };
  };
  return {
    begun,
    start: (name: string, header: ImageHeader) => start(name, (work) => room.run(header, work)),
    startAlone: (name: string) => start(name, (work) => room.runAlone(work)),
  };
}

/** A semaphore lets in by way of promises. */
const settle = () => setImmediate();

test('eight photos of 12 megapixels are in work at once, and a ninth waits', async () => {
  const { begun, start } = openRoom();
  const ends = Array.from({ length: 9 }, (_, i) => start(`photo ${i}`, photo));
  await settle();
  expect(begun).toHaveLength(8);
  await ends[0]!();
  await settle();
  expect(begun).toHaveLength(9);
});

test('of the largest images one is in work, and no other image waits for them', async () => {
  const { begun, start } = openRoom();
  const [first] = [start('large', large), start('next large', large)] as const;
  start('photo', photo);
  start('selfie', selfie);
  await settle();
  expect(begun).toEqual(['large', 'photo', 'selfie']);
  await first();
  await settle();
  expect(begun).toEqual(['large', 'photo', 'selfie', 'next large']);
});

test('what is alone begins when all others have ended, and before later ones', async () => {
  const { begun, start, startAlone } = openRoom();
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
