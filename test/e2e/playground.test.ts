import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { type ContentPlace, type FacePlace, type Outline, placeFace } from '@livegate/core/browser';
import { face, selfie } from '@livegate/testing/images/photos';
import { tilted } from '@livegate/testing/images/surrounds';
import { createFakeCamera, type FakeCamera } from '@livegate/testing/capture/fake-camera';
import {
  findViolations,
  openBrowser,
  type TestBrowser,
  watchPage,
} from '@livegate/testing/product/browser';
import { writeCredentials } from '@livegate/testing/product/credentials-file';
import { createEnv, startApi } from '@livegate/testing/product/processes';
import { hashSecret } from '../../apps/api/src/credentials/credential-book.js';

let camera: FakeCamera;
let browser: TestBrowser | undefined;

// Installing Chromium, where it is missing and root may, takes minutes.
beforeAll(async () => {
  camera = await createFakeCamera();
  browser = await openBrowser(camera.flags);
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await camera.remove();
});

/**
 * Opens the playground in a tab of its own. At the end of the test, it must have asked no other host for
 * anything, and have caused no error, no warning and no violation of its content security policy.
 */
async function openPlayground(look: { width?: number; scheme?: 'light' | 'dark' } = {}) {
  const page = await browser!.context.newPage();
  onTestFinished(() => page.close());
  await page.setViewportSize({ width: look.width ?? 1280, height: 900 });
  await page.emulateMedia({ colorScheme: look.scheme ?? 'light' });
  const { hosts, complaints } = await watchPage(page);
  await page.goto(`${inject('url')}/`);
  onTestFinished(() => {
    expect([...hosts]).toEqual([new URL(inject('url')).host]);
    // The browser reports an answer that is an error, whether the page expects it or not.
    expect(complaints.filter((text) => !text.startsWith('Failed to load'))).toEqual([]);
  });
  return page;
}

interface Quality {
  codes: string[];
  face: FacePlace;
  content?: ContentPlace;
  measures: Record<string, number>;
}

/** Chooses a file, and resolves to the shown verdict. */
async function check(page: Page, bytes: Uint8Array, name = 'selfie.jpg'): Promise<string | null> {
  const file = { name, mimeType: 'image/jpeg', buffer: Buffer.from(bytes) };
  await page.setInputFiles('#file', file);
  return readVerdict(page);
}

async function readVerdict(page: Page): Promise<string | null> {
  await page.locator('#verdict:not([data-state="idle"]):not([data-state="waiting"])').waitFor();
  return page.textContent('#status');
}

describe('the playground', () => {
  it('shows the verdict, the cut points, the stages and the answer of a selfie', async () => {
    const page = await openPlayground();
    expect(await check(page, await selfie())).toBe('Looks live');
    expect(await page.textContent('#scale')).toMatch(/spoof_percentage 0\.\d+/);
    for (const stage of ['upload', 'queue', 'decode', 'detect', 'classify', 'total']) {
      expect(await page.textContent('#timings')).toContain(stage);
    }
    expect(await page.textContent('#code')).toMatch(/HTTP 200[^]*"status": "success"/);
  });

  it('follows the states of a job', async () => {
    const page = await openPlayground();
    await page.check('input[value="async"]');
    expect(await check(page, await selfie())).toBe('Looks live');
    const states = await page.locator('#states li').allTextContents();
    expect(states[0]).toMatch(/queued|processing/);
    expect(states.at(-1)).toBe('succeeded');
    expect(await page.textContent('#code')).toContain('"status": "succeeded"');
    expect(await page.textContent('#timings')).toContain('processing');
  });

  it('draws samples, and says that their score means nothing', async () => {
    const page = await openPlayground();
    const codes: string[] = [];
    for (let drawn = 0; drawn < 4; drawn += 1) {
      const answered = page.waitForResponse('**/passive-liveness');
      await page.click('#sample');
      const { result } = (await (await answered).json()) as { result: { quality: Quality } };
      codes.push(result.quality.codes.join());
      await page.getByText('drawn by code').waitFor();
    }
    expect(codes).toEqual(['', '', 'image_rotated', expect.stringContaining('face_too_close')]);
    // The measure behind the code, with its limit.
    expect(await page.textContent('#quality .weak')).toMatch(/^inside.*0\.\d+at least 0\.4$/);
  });

  it('checks a pasted and a dropped photo', async () => {
    const page = await openPlayground();
    const photo = (await selfie()).toString('base64');
    for (const [type, target] of [
      ['paste', 'document'],
      ['drop', `document.querySelector('#drop')`],
    ]) {
      const answered = page.waitForResponse('**/passive-liveness');
      await page.evaluate(`{
        const bytes = Uint8Array.from(atob('${photo}'), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], 'selfie.jpg', { type: 'image/jpeg' }));
        const init = { bubbles: true, cancelable: true, clipboardData: data, dataTransfer: data };
        const event = '${type}' === 'drop' ? new DragEvent('drop', init) : new ClipboardEvent('paste', init);
        ${target}.dispatchEvent(event);
      }`);
      expect((await answered).status()).toBe(200);
    }
  });

  it('takes a picture with the camera, and turns it off', async () => {
    await camera.show({ shows: 'selfie' });
    await browser!.context.grantPermissions(['camera'], { origin: inject('url') });
    const page = await openPlayground();
    await page.click('#webcam');
    await page.click('#shoot');
    expect(await readVerdict(page)).toBe('Looks live');
    expect(await page.evaluate(`document.querySelector('#camera').srcObject.active`)).toBe(false);
  });

  it('says why there is no camera', async () => {
    await browser!.context.clearPermissions();
    const page = await openPlayground();
    await page.click('#webcam');
    await page.getByText('Choose a photo instead.').waitFor();
    expect(await page.textContent('#refusal')).toMatch(/^The camera cannot be used: ./);
  });

  it.each([
    ['upright', (photo: Buffer) => Promise.resolve(photo)],
    ['on its side', (photo: Buffer) => sharp(photo).rotate(90).jpeg().toBuffer()],
    ['tilted on black', (photo: Buffer) => tilted(photo, 20, 'black')],
  ])('draws the face and the views where they are: %s', async (_name, change) => {
    const page = await openPlayground();
    const photo = await change(await face('photo 3 left'));
    const answered = page.waitForResponse('**/passive-liveness');
    await check(page, photo);
    const { result } = (await (await answered).json()) as { result: { quality: Quality } };
    await page.locator('#views li').nth(1).waitFor();
    expect(await page.locator('#views li').allTextContents()).toEqual([
      'view 2×, reflect',
      'view 2.7×, zero',
    ]);
    const { width, height } = await sharp(photo).metadata();
    const { face: place, content, measures } = result.quality;
    const judged = { face: place, content, rotation: measures['rotation'] ?? 0 };
    const placed = placeFace(judged, { image: { width, height }, scales: [2, 2.7] });
    const outlines = [placed.face, ...placed.views];
    const colors = [
      [94, 234, 212],
      [251, 191, 36],
      [165, 180, 252],
    ];
    expect(await colorsOn(page, outlines)).toEqual(colors);
    await page.uncheck('#boxes');
    for (const color of await colorsOn(page, outlines)) expect(colors).not.toContainEqual(color);
  });

  /** In the middle of the lower sides, where no label is. */
  async function colorsOn(page: Page, outlines: Outline[]): Promise<number[][]> {
    const url = await page.evaluate<string>(`document.querySelector('#photo').toDataURL()`);
    const png = Buffer.from(url.split(',')[1]!, 'base64');
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    return outlines.map(([, , lowerRight, lowerLeft]) => {
      const x = Math.round((lowerRight.x + lowerLeft.x) / 2);
      const y = Math.round((lowerRight.y + lowerLeft.y) / 2);
      return [...data.subarray(info.channels * (y * info.width + x)).subarray(0, 3)];
    });
  }

  it('shows the error of a refused request with its code', async () => {
    const page = await openPlayground();
    await page.fill('input[name="password"]', 'wrong');
    expect(await check(page, await selfie())).toBe('unauthorized');
  });

  it('shows what the gateway says about a file that the browser cannot show', async () => {
    const page = await openPlayground();
    expect(await check(page, Buffer.from('no image'))).toBe('invalid_image');
    await page.getByText('Your browser cannot show this file.').waitFor();
  });

  const hasRequests = spawnSync('python3', ['-c', 'import requests']).status === 0;
  it.each<[string, string, string[]]>([
    ['curl', 'bash', ['-c']],
    ['Node.js', process.execPath, ['--input-type=module', '-e']],
    // Its program needs a package that a machine may lack.
    ...(hasRequests ? [['Python', 'python3', ['-c']] as [string, string, string[]]] : []),
  ])('writes a program for %s that gets the verdict', async (tab, program, args) => {
    const page = await openPlayground();
    const folder = await mkdtemp(join(tmpdir(), 'livegate-playground-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const name = `it's "me".jpg`;
    await writeFile(join(folder, name), await selfie());
    await check(page, await selfie(), name);
    await page.getByRole('tab', { name: tab }).click();
    const code = (await page.textContent('#code')) ?? '';
    const { stdout } = await promisify(execFile)(program, [...args, code], { cwd: folder });
    expect(stdout).toMatch(/success[^]*LOW/);
  });

  it('changes tabs by the arrow keys, and copies', async () => {
    await browser!.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const page = await openPlayground();
    await check(page, await selfie());
    await page.getByRole('tab', { name: 'Answer' }).focus();
    for (const name of ['curl', 'Node.js', 'Python']) {
      await page.keyboard.press('ArrowRight');
      expect(await page.getAttribute('[aria-selected="true"]', 'tabindex')).toBe('0');
      expect(await page.textContent('[aria-selected="true"]')).toBe(name);
    }
    await page.click('#copy');
    await page.getByText('Copied').waitFor();
    const copied = await page.evaluate('navigator.clipboard.readText()');
    expect(copied).toBe(await page.textContent('#code'));
  });

  it('writes a curl command with the file, the credentials and the mode', async () => {
    const page = await openPlayground();
    await page.check('input[value="async"]');
    await check(page, await selfie(), "it's me.jpg");
    await page.getByRole('tab', { name: 'curl' }).click();
    const command = await page.textContent('#code');
    expect(command).toContain(`-F 'image=@it'\\''s me.jpg'`);
    expect(command).toContain("-u 'default-username:default-password'");
    expect(command).toContain('Prefer: respond-async');
  });

  it('writes a curl command that sends no other file, whatever the name is', async () => {
    const page = await openPlayground();
    await check(page, await selfie(), String.raw`a,b;c"\.jpg`);
    await page.getByRole('tab', { name: 'curl' }).click();
    expect(await page.textContent('#code')).toContain(String.raw`-F 'image=@"a,b;c\"\\.jpg"'`);
  });

  it('is at / in production only if a setting says so', async () => {
    const credential = {
      tenant: 'acme',
      username: 'acme-user',
      password_sha256: hashSecret('acme-password'),
      api_key_sha256: hashSecret('acme-key'),
      permissions: ['passive-liveness'],
    };
    const { file, remove } = await writeCredentials([credential]);
    onTestFinished(remove);
    const statusWith = async (more: Record<string, string>) => {
      const api = await startApi(
        createEnv({
          NODE_ENV: 'production',
          LIVEGATE_CREDENTIALS_FILE: file,
          LIVEGATE_PUBLIC_URL: 'https://liveness.example',
          ...more,
        }),
      );
      onTestFinished(async () => void (await api.stop('SIGKILL')));
      return (await fetch(`${api.url}/`)).status;
    };
    expect(await statusWith({})).toBe(404);
    expect(await statusWith({ LIVEGATE_PLAYGROUND: 'true' })).toBe(200);
  });

  it('takes less than 60 kB of script, compressed', async () => {
    const script = new URL('../../apps/api/dist/public/playground.js', import.meta.url);
    expect(gzipSync(await readFile(script)).length).toBeLessThan(60_000);
  });

  it.each([
    [390, 'light'],
    [390, 'dark'],
    [1280, 'light'],
    [1280, 'dark'],
  ] as const)('is accessible and does not overflow at %i px, %s', async (width, scheme) => {
    const page = await openPlayground({ width, scheme });
    expect(await findViolations(page)).toEqual([]);
    await page.fill('input[name="key"]', 'wrong');
    await check(page, await selfie());
    expect(await findViolations(page)).toEqual([]);
    await page.fill('input[name="key"]', 'default-api-key');
    await page.check('input[value="async"]');
    await page.click('#sample');
    await page.locator('#views:not([hidden])').waitFor();
    expect(await findViolations(page)).toEqual([]);
    const contentWidth = await page.evaluate('document.documentElement.scrollWidth');
    expect(contentWidth).toBeLessThanOrEqual(width);
  });
});
