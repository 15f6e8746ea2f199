import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogLevel, setLogLevel, Vision } from '@glair/vision';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { notImages, unsupportedImages } from '@livegate/testing/images/not-jpeg-or-png';
import { face, groupPhoto, noFace, selfie } from '@livegate/testing/images/photos';

/** The published, unmodified client of the API that Livegate replaces. */
describe('the GLAIR Vision SDK', () => {
  const baseUrl = inject('url');
  let folder: string;

  beforeAll(async () => {
    setLogLevel(LogLevel.SILENT);
    folder = await mkdtemp(join(tmpdir(), 'livegate-sdk-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function check(image: Buffer, settings: ConstructorParameters<typeof Vision>[0] = {}) {
    const path = join(folder, crypto.randomUUID());
    await writeFile(path, image);
    return new Vision({ baseUrl, ...settings }).faceBio.passiveLiveness({ image: path });
  }

  it('gets LOW for a bona fide selfie with its default credentials', async () => {
    expect(await check(await selfie())).toEqual({
      status: 'success',
      result: { spoof_percentage: expect.closeTo(0, 1), status: 'LOW' },
    });
  });

  it('gets status "success" for a spoof with the verdict HIGH', async () => {
    expect(await check(await face('photo 2 left'))).toMatchObject({
      status: 'success',
      result: { status: 'HIGH' },
    });
  });

  it.each(['/', '//'])('gets a verdict with a base URL that ends in "%s"', async (ending) => {
    const answer = await check(await selfie(), { baseUrl: baseUrl + ending });
    expect(answer).toMatchObject({ status: 'success' });
  });

  it('gets a verdict with configured credentials', async () => {
    const acme = { username: 'acme-user', password: 'acme-password', apiKey: 'acme-key' };
    expect(await check(await selfie(), acme)).toMatchObject({ status: 'success' });
  });

  it('gets "face not detected" for an image without a face', async () => {
    expect(await check(await noFace())).toEqual({
      status: 'failed',
      result: { spoof_percentage: 1, status: 'face not detected' },
    });
  });

  it('gets "too many faces detected" for a group photo', async () => {
    expect(await check(await groupPhoto())).toEqual({
      status: 'failed',
      result: { spoof_percentage: 1, status: 'too many faces detected' },
    });
  });

  it.each([
    ['a wrong API key', { apiKey: 'wrong' }],
    ['a wrong password', { password: 'wrong' }],
    ['an unknown name', { username: 'wrong' }],
  ])('throws the body of the 401 for %s', async (_name, settings) => {
    await expect(check(await selfie(), settings)).rejects.toMatchObject({
      status: 'failed',
      error: 'Access to this API has been disallowed',
      error_code: 'unauthorized',
    });
  });

  it('throws the body of the 403 for credentials without the permission', async () => {
    await expect(check(await selfie(), { username: 'idle-user' })).rejects.toMatchObject({
      error: 'Access to this API has been disallowed',
      error_code: 'forbidden',
    });
  });

  it.each([
    ['text', notImages.text, 'invalid_image'],
    ['a GIF', unsupportedImages.gif, 'unsupported_image_type'],
    ['an empty file', Buffer.alloc(0), 'empty_image'],
  ])('throws the body of the refusal for %s', async (_name, image, code) => {
    await expect(check(image)).rejects.toMatchObject({
      status: 'failed',
      error_message: expect.any(String),
      error_code: code,
    });
  });
});
