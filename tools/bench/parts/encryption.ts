import { randomBytes } from 'node:crypto';
import { createImageCipher } from '@livegate/core/redis';
import { formatTable } from '../../format-table.js';
import type { Part } from '../bench.js';
import { interleave, median } from '../rounds.js';

const KIB = 1024;
const sizes = { '150 KiB': 150 * KIB, '2 MiB': 2 * KIB * KIB, '10 MiB': 10 * KIB * KIB };
/** Bytes that each measurement encrypts. */
const WORK_BYTES = 200 * KIB * KIB;

/** Measures what the encryption of images in Redis costs the thread of a gateway, and of a worker. */
export const measureEncryption: Part = async ({ rounds }, say) => {
  const key = { id: '2026-11', key: randomBytes(32) };
  const cipher = createImageCipher({ keys: { current: () => key, find: () => key } });
  const tasks = Object.entries(sizes).flatMap(([name, size]) => {
    const image = randomBytes(size);
    const sealed = cipher.seal('id', image);
    return [
      [`encrypt ${name}`, async () => timeEach(size, () => cipher.seal('id', image))] as const,
      [`decrypt ${name}`, async () => timeEach(size, () => cipher.open('id', sealed))] as const,
    ];
  });
  const times = await interleave<string, number>(rounds, Object.fromEntries(tasks));
  const lines = Object.entries(times).map(([name, values]) => [name, median(values).toFixed(3)]);
  say(formatTable(['image in Redis', 'ms an image'], lines));
  return lines.map(([name = '', value]) => ({ name, value: Number(value), unit: 'ms' }));
};

/** Milliseconds of one call. */
function timeEach(size: number, work: () => unknown): number {
  const count = Math.ceil(WORK_BYTES / size);
  const start = performance.now();
  for (let done = 0; done < count; done += 1) work();
  return (performance.now() - start) / count;
}
