import { spawn } from 'node:child_process';
import { errorMessages } from '@livegate/core/domain';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { findFreePort } from '../../tools/dev/ports.js';
import { selfie } from '@livegate/testing/images/photos';
import { openBrowser, type TestBrowser, watchPage } from '@livegate/testing/product/browser';
import { document as openApi, operations } from '@livegate/testing/product/document-client';
import { authOf } from '@livegate/testing/product/documented-product';

let browser: TestBrowser | undefined;

// Installing Chromium, where it is missing and root may, takes minutes.
beforeAll(async () => {
  browser = await openBrowser();
}, 300_000);
afterAll(() => browser?.close());

/** Opens the page in its own tab, and records its requests, errors and warnings. */
async function openDocs({ context }: TestBrowser, path: string) {
  const page = await context.newPage();
  const { hosts, complaints } = await watchPage(page);
  const response = await page.goto(`${inject('url')}${path}`);
  await page.locator('.opblock').first().waitFor();
  return { page, response, hosts, complaints };
}

/** The width of the content, which exceeds the window's if something overflows. */
function widthOf(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth');
}

function colorOf(page: Page, place: string): Promise<string> {
  return page.evaluate(`getComputedStyle(document.querySelector('${place}')).color`);
}

async function authorize(page: Page): Promise<void> {
  await page.locator('.btn.authorize').first().click();
  const dialog = page.locator('.dialog-ux');
  await dialog.locator('input[name="username"]').fill('default-username');
  await dialog.locator('input[type="password"]').fill('default-password');
  await dialog.locator('.btn.authorize').first().click();
  await dialog.locator('input[type="text"]').last().fill('default-api-key');
  await dialog.locator('.btn.authorize').last().click();
  await dialog.locator('.btn-done').first().click();
}

/** Unfolds one operation. */
async function openOperation(page: Page, operationId: string): Promise<Locator> {
  const block = page.locator(`.opblock[id$="-${operationId}"]`);
  await block.locator('.opblock-summary').click();
  await block.locator('.btn.execute').waitFor();
  return block;
}

const ownHost = () => new Set([new URL(inject('url')).host]);

describe('the /docs page in a real browser', () => {
  it.for(['/docs', '/docs/'])(
    'shows every operation and webhook at %s, and loads everything from this server',
    async (path, { skip }) => {
      if (!browser) return skip('Chromium is not installed');
      const { page, response, hosts, complaints } = await openDocs(browser, path);
      const shown = await page.locator('.opblock-summary-path').allTextContents();
      const expected = [
        ...operations.map((operation) => operation.path),
        ...Object.keys(openApi.webhooks),
      ];
      expect(shown.toSorted()).toEqual(expected.toSorted());
      expect(hosts).toEqual(ownHost());
      expect(complaints).toEqual([]);
      expect(response?.headers()['content-security-policy']).toMatch(
        /^default-src 'none'; script-src 'self';/,
      );
      await page.close();
    },
  );

  it('shows the Authorize button first, then the operations, then every error code', async ({
    skip,
  }) => {
    if (!browser) return skip('Chromium is not installed');
    const { page } = await openDocs(browser, '/docs');
    const places = ['#development-credentials', '.btn.authorize', '.opblock', '#errors'];
    const tops = await Promise.all(
      places.map(async (place) => (await page.locator(place).first().boundingBox())?.y ?? -1),
    );
    expect(tops).toEqual(tops.toSorted((a, b) => a - b));
    expect(tops.slice(0, 2).every((top) => top >= 0 && top < 600)).toBe(true);
    const codes = await page.locator('#errors ~ table td:nth-child(2)').allTextContents();
    expect(codes.toSorted()).toEqual(Object.keys(errorMessages).toSorted());
    await page.close();
  });

  it.for(['light', 'dark'] as const)(
    'fits a phone 390 pixels wide: %s',
    async (scheme, { skip }) => {
      if (!browser) return skip('Chromium is not installed');
      const { page, complaints } = await openDocs(browser, '/docs');
      await page.setViewportSize({ width: 390, height: 844 });
      await page.emulateMedia({ colorScheme: scheme });
      for (const name of ['checkPassiveLiveness', 'createWebhookEndpoint']) {
        await openOperation(page, name);
      }
      expect(await widthOf(page)).toBe(390);
      // One element of our own and one of Swagger UI.
      const colors = ['#errors', '.opblock-tag'].map((place) => colorOf(page, place));
      const [own, drawn] = await Promise.all(colors);
      const light = 'rgb(59, 65, 81)';
      expect([own, drawn]).toEqual(
        scheme === 'dark' ? ['rgb(228, 230, 230)', 'rgb(228, 230, 230)'] : [light, light],
      );
      expect(complaints).toEqual([]);
      await page.close();
    },
  );

  it('shows a receiver program that gets the webhook of the first example', async ({ skip }) => {
    if (!browser) return skip('Chromium is not installed');
    const { page } = await openDocs(browser, '/docs');
    const port = String(await findFreePort());
    const program = await page.locator('#receiver ~ ol pre').textContent();
    const receiver = spawn('/bin/sh', ['-c', `exec ${program!.replace('8099', port)}`]);
    onTestFinished(() => void receiver.kill());
    let printed = '';
    receiver.stdout.on('data', (data: Buffer) => (printed += String(data)));

    await page.locator('#use-development-credentials').click();
    const create = await openOperation(page, 'createWebhookEndpoint');
    const text = create.locator('textarea');
    await text.fill((await text.inputValue()).replace('8099', port));
    const created = page.waitForResponse((response) => response.request().method() === 'POST');
    await create.locator('.btn.execute').click();
    const { id } = (await (await created).json()) as { id: string };
    const sent = await page.request.post(`${inject('url')}/v1/webhook-endpoints/${id}/test`, {
      headers: authOf('default-username'),
    });
    expect(sent.status()).toBe(202);
    await expect.poll(() => printed, { timeout: 20_000 }).toContain('"type":"webhook.test"');
    await page.request.delete(`${inject('url')}/v1/webhook-endpoints/${id}`, {
      headers: authOf('default-username'),
    });
    await page.close();
  });

  it('sends a check with an uploaded image and shows its verdict', async ({ skip }) => {
    if (!browser) return skip('Chromium is not installed');
    const { page, hosts, complaints } = await openDocs(browser, '/docs');
    await authorize(page);
    const check = await openOperation(page, 'checkPassiveLiveness');
    const file = { name: 'selfie.jpg', mimeType: 'image/jpeg', buffer: await selfie() };
    await check.locator('input[type="file"]').setInputFiles(file);
    await check.locator('.btn.execute').click();
    const answer = check.locator('.live-responses-table .response-col_description');
    await answer.getByText('"LOW"').waitFor();
    expect(hosts).toEqual(ownHost());
    expect(complaints).toEqual([]);
    await page.close();
  });
});
