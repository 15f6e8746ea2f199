import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { inspectHeader } from '@livegate/core';
// The compiled worker, as only that has a file for the process.
import { decodeApart } from '@livegate/worker/stages/decode-apart';
import { decodeImage } from '@livegate/worker/stages/decode-image';
import { prepareImage } from '@livegate/worker/stages/prepare-image';
import sharp from 'sharp';
import { expect, onTestFinished, test, vi } from 'vitest';
import * as odd from '../fixtures/odd-images.js';
import { selfie } from '../fixtures/photos.js';

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

const LARGE = 1e8;
const ample = { cpuMs: 60_000, wallMs: 60_000 };
const task = { pixels: LARGE, failOn: 'error' } as const;

/** Minutes within libjpeg, where nothing but an end of the process can reach it. */
const endless = { file: odd.arithmeticJpeg(7071, 2000), task };

const prepare = (image: Buffer) => prepareImage(image, inspectHeader(image, LARGE));

/** Decoding processes that this one has. */
function countProcesses(): number {
  const children = execFileSync('ps', ['-o', 'args=', '--ppid', `${process.pid}`], {
    encoding: 'utf8',
  });
  return children.split('\n').filter((line) => line.includes('decode-process')).length;
}

test('a process decodes to the same pixels as this one, and ends', async () => {
  const image = await selfie();
  const picture = await decodeApart(prepare(image), ample);
  const here = await decodeImage(image, inspectHeader(image, LARGE));
  expect(picture).toMatchObject({ width: here.width, height: here.height });
  expect(Buffer.compare(picture.pixels, here.pixels)).toBe(0);
  expect(countProcesses()).toBe(0);
});

test('pixels from a process can be moved to a thread', async () => {
  const { pixels } = await decodeApart(prepare(await selfie()), ample);
  structuredClone(pixels, { transfer: [pixels.buffer as ArrayBuffer] });
  expect(pixels).toHaveLength(0);
});

test('a decode past its processor time is killed and refused, saying so', async () => {
  const ended = decodeApart(endless, { cpuMs: 100, wallMs: 60_000 });
  await expect(ended).rejects.toMatchObject({
    code: 'invalid_image',
    publicMessage: expect.stringContaining('takes longer to decode'),
  });
  expect(countProcesses()).toBe(0);
});

test('a decode that the clock ends before it has had its processor time is no refusal', async () => {
  const ended = decodeApart(endless, { cpuMs: 60_000, wallMs: 500 });
  await expect(ended).rejects.toThrow('ended without an answer, within 500 ms: SIGKILL');
  await expect(ended).rejects.not.toHaveProperty('code');
  expect(countProcesses()).toBe(0);
});

test('a process that is killed by somebody else is no refusal', async () => {
  const ended = decodeApart(endless, ample);
  const pid = await vi.waitUntil(findProcess, { timeout: 10_000 });
  process.kill(pid, 'SIGKILL');
  await expect(ended).rejects.toThrow('SIGKILL');
  await expect(ended).rejects.not.toHaveProperty('code');
});

function findProcess(): number | undefined {
  const children = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', `${process.pid}`], {
    encoding: 'utf8',
  });
  const line = children.split('\n').find((each) => each.includes('decode-process'));
  return line === undefined ? undefined : Number.parseInt(line, 10);
}

test('what cannot be decoded is refused, with what libvips says in its detail', async () => {
  const broken = { file: odd.truncated(await selfie()), task };
  await expect(decodeApart(broken, ample)).rejects.toMatchObject({
    code: 'invalid_image',
    detail: expect.stringContaining('premature end'),
  });
});

test('no more processes run at once than there are processors', async () => {
  const image = prepare(await selfie());
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, countProcesses())), 100);
  onTestFinished(() => clearInterval(watch));
  const many = Array.from({ length: 2 * availableParallelism() + 1 }, () => decodeApart(image));
  await Promise.all(many);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(availableParallelism());
});

test('a photo of 50 megapixels in ten scans is decoded', async () => {
  const side = { width: 8160, height: 6144, channels: 3 } as const;
  const image = await sharp({ create: { ...side, background: 'tan' } })
    .jpeg({ progressive: true, chromaSubsampling: '4:4:4' })
    .toBuffer();
  const picture = await decodeImage(image, inspectHeader(image, 52_000_000));
  expect(picture).toMatchObject({ width: 8160, height: 6144 });
});
