import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { selfie } from '@livegate/testing/images/photos';

const run = promisify(execFile);
const withoutCurl = spawnSync('curl', ['--version']).error !== undefined;

// CI installs curl, so the tests are skipped on developers' machines only.
describe.skipIf(withoutCurl)('a check sent by curl', () => {
  let folder: string;
  let photo: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'livegate-curl-'));
    photo = join(folder, 'selfie.jpg');
    await writeFile(photo, await selfie());
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function curl(...args: string[]): Promise<unknown> {
    const credentials = [
      '-u',
      'default-username:default-password',
      '-H',
      'x-api-key: default-api-key',
    ];
    const url = `${inject('url')}/face/v1/passive-liveness`;
    const { stdout } = await run('curl', ['-sS', ...credentials, ...args, url]);
    return JSON.parse(stdout);
  }

  it('gets a verdict for an image in multipart/form-data', async () => {
    expect(await curl('-F', `image=@${photo}`)).toMatchObject({ result: { status: 'LOW' } });
  });

  it('gets the same verdict for the image as base64 in JSON', async () => {
    const path = join(folder, 'selfie.json');
    await writeFile(path, JSON.stringify({ image: (await selfie()).toString('base64') }));
    const json = ['-H', 'content-type: application/json', '--data-binary', `@${path}`];
    expect(await curl(...json)).toEqual(await curl('-F', `image=@${photo}`));
  });

  it.each(['Transfer-Encoding: chunked', 'Expect: 100-continue'])(
    'gets a verdict with %s',
    async (header) => {
      const answer = await curl('-H', header, '-F', `image=@${photo}`);
      expect(answer).toMatchObject({ result: { status: 'LOW' } });
    },
  );
});
