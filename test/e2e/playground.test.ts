import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { selfie } from '@livegate/testing/images/photos';
import { openBrowser, type TestBrowser } from '@livegate/testing/product/browser';

let browser: TestBrowser | undefined;

// Installing Chromium, where it is missing and root may, takes minutes.
beforeAll(async () => {
  browser = await openBrowser();
}, 300_000);
afterAll(() => browser?.close());

/** Opens the playground in a tab of its own, and records its requests, errors and warnings. */
async function openPlayground(look: { width?: number; scheme?: 'light' | 'dark' } = {}) {
  const page = await browser!.context.newPage();
  onTestFinished(() => page.close());
  await page.setViewportSize({ width: look.width ?? 1280, height: 900 });
  await page.emulateMedia({ colorScheme: look.scheme ?? 'light' });
  const [hosts, complaints] = [new Set<string>(), [] as string[]];
  page.on('request', (request) => hosts.add(new URL(request.url()).host));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(`${inject('url')}/`);
  hosts.delete('');
  return { page, hosts, complaints };
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

async function findViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate('axe.run()')) as axe.AxeResults;
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html).join(' ')}`);
}

describe('the playground', () => {
  it('shows the verdict, the cut points, the stages and the answer of a selfie', async () => {
    const { page, hosts, complaints } = await openPlayground();
    expect(await check(page, await selfie())).toBe('Looks live');
    expect(await page.textContent('#scale')).toMatch(/spoof_percentage 0\.\d+/);
    for (const stage of ['upload', 'queue', 'decode', 'detect', 'classify', 'total']) {
      expect(await page.textContent('#timings')).toContain(stage);
    }
    expect(await page.textContent('#code')).toMatch(/HTTP 200[^]*"status": "success"/);
    expect([...hosts].filter(Boolean)).toEqual([new URL(inject('url')).host]);
    expect(complaints).toEqual([]);
  });

  it('follows the states of a job', async () => {
    const { page } = await openPlayground();
    await page.check('input[value="async"]');
    expect(await check(page, await selfie())).toBe('Looks live');
    const states = await page.locator('#states li').allTextContents();
    expect(states[0]).toMatch(/queued|processing/);
    expect(states.at(-1)).toBe('succeeded');
    expect(await page.textContent('#code')).toContain('"status": "succeeded"');
  });

  it('draws a sample, and says that its score means nothing', async () => {
    const { page, complaints } = await openPlayground();
    await page.click('#sample');
    expect(await readVerdict(page)).not.toBe('No face found');
    expect(await page.textContent('#hint')).toContain('drawn by code');
    expect(complaints).toEqual([]);
  });

  it('shows the error of a refused request with its code', async () => {
    const { page } = await openPlayground();
    await page.fill('input[name="password"]', 'wrong');
    expect(await check(page, await selfie())).toBe('unauthorized');
  });

  it('shows a file that is not an image as a failure', async () => {
    const { page } = await openPlayground();
    expect(await check(page, Buffer.from('no image'))).toBe('No answer');
  });

  it('writes a curl command with the file, the credentials and the mode', async () => {
    const { page } = await openPlayground();
    await page.check('input[value="async"]');
    await check(page, await selfie(), "it's me.jpg");
    await page.getByRole('tab', { name: 'curl' }).click();
    const command = await page.textContent('#code');
    expect(command).toContain(`-F 'image=@it'\\''s me.jpg'`);
    expect(command).toContain("-u 'default-username:default-password'");
    expect(command).toContain('Prefer: respond-async');
  });

  it('writes a curl command that sends no other file, whatever the name is', async () => {
    const { page } = await openPlayground();
    await check(page, await selfie(), String.raw`a,b;c"\.jpg`);
    await page.getByRole('tab', { name: 'curl' }).click();
    expect(await page.textContent('#code')).toContain(String.raw`-F 'image=@"a,b;c\"\\.jpg"'`);
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
    const { page } = await openPlayground({ width, scheme });
    expect(await findViolations(page)).toEqual([]);
    await check(page, await selfie());
    expect(await findViolations(page)).toEqual([]);
    const contentWidth = await page.evaluate('document.documentElement.scrollWidth');
    expect(contentWidth).toBeLessThanOrEqual(width);
  });
});
