import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { selfie } from '../fixtures/photos.js';
import { openBrowser, type TestBrowser } from './browser.js';
import { document, operations } from './document-client.js';

let browser: TestBrowser | undefined;

// Where there is no Chromium, root may have it installed first.
beforeAll(async () => {
  browser = await openBrowser();
}, 300_000);
afterAll(() => browser?.close());

/** Opens the page in a tab of its own, and remembers what it asks for and complains of. */
async function openDocs({ context }: TestBrowser, path: string) {
  const page = await context.newPage();
  const requested: string[] = [];
  const complaints: string[] = [];
  page.on('request', (request) => requested.push(request.url()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  const response = await page.goto(`${inject('url')}${path}`);
  await page.locator('.opblock').first().waitFor();
  /** Every host that was asked for anything; what is in the page itself has none. */
  const hosts = () => new Set(requested.map((url) => new URL(url).host).filter(Boolean));
  return { page, response, hosts, complaints };
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

describe('the page at /docs, in a real browser', () => {
  it.for(['/docs', '/docs/'])(
    '%s shows all there is, from this server alone',
    async (path, { skip }) => {
      if (!browser) return skip('there is no Chromium here');
      const { page, response, hosts, complaints } = await openDocs(browser, path);
      const shown = await page.locator('.opblock-summary-path').allTextContents();
      const expected = [
        ...operations.map((operation) => operation.path),
        ...Object.keys(document.webhooks),
      ];
      expect(shown.toSorted()).toEqual(expected.toSorted());
      expect(hosts()).toEqual(ownHost());
      expect(complaints).toEqual([]);
      expect(response?.headers()['content-security-policy']).toMatch(
        /^default-src 'none'; script-src 'self';/,
      );
      await page.close();
    },
  );

  it('tries a check with an image from the disk', async ({ skip }) => {
    if (!browser) return skip('there is no Chromium here');
    const { page, hosts, complaints } = await openDocs(browser, '/docs');
    await authorize(page);
    const check = await openOperation(page, 'checkPassiveLiveness');
    const file = { name: 'selfie.jpg', mimeType: 'image/jpeg', buffer: await selfie() };
    await check.locator('input[type="file"]').setInputFiles(file);
    await check.locator('.btn.execute').click();
    const answer = check.locator('.live-responses-table .response-col_description');
    await answer.getByText('"LOW"').waitFor();
    expect(hosts()).toEqual(ownHost());
    expect(complaints).toEqual([]);
    await page.close();
  });
});
