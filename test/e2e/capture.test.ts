import { LogLevel, setLogLevel, Vision } from '@glair/vision';
import { selfie } from '@livegate/testing/images/photos';
import { openBrowser, type TestBrowser } from '@livegate/testing/product/browser';
import { createFakeCamera, type FakeCamera } from '@livegate/testing/product/fake-camera';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from 'vitest';

const urls = {
  success_url: 'https://shop.example/done?order=4711#/next',
  cancel_url: 'https://shop.example/cart',
};

let camera: FakeCamera;
let browser: TestBrowser | undefined;

beforeAll(async () => {
  setLogLevel(LogLevel.SILENT);
  // The SDK prints every request.
  vi.spyOn(console, 'log').mockReturnValue();
  camera = await createFakeCamera();
  browser = await openBrowser(camera.flags);
  await browser!.context.route('https://shop.example/**', (route) =>
    route.fulfill({ contentType: 'text/html', body: '<title>Shop</title>' }),
  );
}, 300_000);
afterAll(async () => {
  vi.restoreAllMocks();
  await browser?.close();
  await camera.remove();
});

const sdk = () => new Vision({ baseUrl: inject('url') }).faceBio.passiveLivenessSessions;

async function openPage(url: string) {
  const page = await browser!.context.newPage();
  onTestFinished(() => page.close());
  page.on('console', (m) => process.stderr.write(`[console] ${m.type()} ${m.text()}\n`));
  page.on('pageerror', (e) => process.stderr.write(`[pageerror] ${e.stack}\n`));
  page.on('requestfailed', (r) =>
    process.stderr.write(`[failed] ${r.url()} ${r.failure()?.errorText}\n`),
  );
  await page.goto(url);
  return page;
}

it('first', async () => {
  await camera.show({ shows: 'selfie' });
  await browser!.context.grantPermissions(['camera'], { origin: inject('url') });
  const { url, sid } = (await sdk().create(urls)) as { url: string; sid: string };
  const t = Date.now();
  const page = await openPage(url);
  for (let i = 0; i < 20; i++) {
    await page.waitForTimeout(700);
    if (page.url().startsWith('https://shop')) break;
    process.stderr.write(
      `${Date.now() - t} ${await page.evaluate(`(() => { const r = document.querySelector('livegate-capture')?.shadowRoot; return r ? r.querySelector('.frame').dataset.view + ' | ' + r.querySelector('.title').textContent + ' | ' + r.querySelector('.status').textContent + ' ' + r.querySelector('video').videoWidth : 'none'; })()`).catch(String)}\n`,
    );
    if (i < 8) await page.screenshot({ path: `/tmp/cap-${i}.png` }).catch(() => undefined);
  }
  process.stderr.write(`${Date.now() - t} ${page.url()}\n`);
  process.stderr.write(JSON.stringify(await sdk().retrieve({ sid })) + '\n');
}, 120_000);
