import { inspectHeader } from '@livegate/core/domain';
import { createDecodeApart } from '@livegate/worker/inference/decode/decode-apart';
import { createDecodeImage, prepareImage } from '@livegate/worker/inference/decode/decode-image';
import { expect, onTestFinished, test, vi } from 'vitest';
import * as odd from '@livegate/testing/images/odd-images';
import { selfie } from '@livegate/testing/images/photos';
import { countProcesses, findDecodeProcess } from '@livegate/testing/models/decode-processes';

// Processes start slowly on a busy machine.

const LARGE = 1e8;
const decodeApart = createDecodeApart(2);
const decodeImage = createDecodeImage(1);
const ample = { cpuMs: 60_000, wallMs: 60_000 };
const task = { pixels: LARGE, failOn: 'error', mayBeTurned: false } as const;

/** Takes seconds inside libjpeg, which only the end of the process can interrupt. */
const slow = { file: odd.arithmeticJpeg(7071), task };

const prepare = (image: Buffer) => prepareImage(image, inspectHeader(image, LARGE));

test('a decode process returns the same pixels as this process does and their orientation, and ends', async () => {
  const image = await odd.oriented(await selfie(), 6);
  const decoded = await decodeApart(prepare(image), ample);
  const here = await decodeImage(image, inspectHeader(image, LARGE));
  expect(decoded).toMatchObject({ width: here.height, height: here.width, orientation: 6 });
  expect(Buffer.compare(decoded.pixels, here.pixels)).toBe(0);
  await expect.poll(countProcesses).toBe(0);
});

test('pixels from a decode process can be transferred to a thread', async () => {
  const { pixels } = await decodeApart(prepare(await selfie()), ample);
  structuredClone(pixels, { transfer: [pixels.buffer as ArrayBuffer] });
  expect(pixels).toHaveLength(0);
});

test('a decode past its CPU time limit is killed and refused with the reason', async () => {
  const ended = decodeApart(slow, { cpuMs: 100, wallMs: 60_000 });
  await expect(ended).rejects.toMatchObject({
    code: 'invalid_image',
    publicMessage: expect.stringContaining('takes longer to decode'),
  });
  await expect.poll(countProcesses).toBe(0);
});

test('a decode past its wall time but not its CPU time fails without refusing the image', async () => {
  const ended = decodeApart(slow, { cpuMs: 60_000, wallMs: 500 });
  await expect(ended).rejects.toThrow('ended without an answer, within 500 ms: SIGKILL');
  await expect(ended).rejects.not.toHaveProperty('code');
  await expect.poll(countProcesses).toBe(0);
});

test('a decode process that something else kills fails without refusing the image', async () => {
  const ended = decodeApart(slow, ample);
  const pid = await vi.waitUntil(() => findDecodeProcess(), { timeout: 10_000 });
  process.kill(pid, 'SIGKILL');
  await expect(ended).rejects.toThrow('SIGKILL');
  await expect(ended).rejects.not.toHaveProperty('code');
});

test('an image that cannot be decoded is refused with the message of libvips as detail', async () => {
  const broken = { file: odd.truncated(await selfie()), task };
  await expect(decodeApart(broken, ample)).rejects.toMatchObject({
    code: 'invalid_image',
    detail: expect.stringContaining('premature end'),
  });
});

test('no more decode processes run at the same time than the limit', async () => {
  const image = prepare(await selfie());
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, countProcesses())), 10);
  onTestFinished(() => clearInterval(watch));
  const many = Array.from({ length: 5 }, () => decodeApart(image));
  await Promise.all(many);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(2);
});

test('a progressive picture of 52 megapixels is decoded', async () => {
  const form = { frame: 0xc2, components: [1, 2, 3], scans: odd.slowScans };
  const image = odd.emptyJpeg(7211, form);
  const { width, pixels } = await decodeImage(image, inspectHeader(image, 52_000_000));
  expect(width).toBe(7211);
  expect([pixels.at(0), pixels.at(-1)]).toEqual([128, 128]);
});
