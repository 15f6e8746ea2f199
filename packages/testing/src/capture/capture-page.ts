import type { BrowserContext, Page } from 'playwright-core';
import { watchPage, type WatchedPage } from '../product/browser.js';

/** One event of `<livegate-capture>`. */
export interface CaptureEvent {
  name: string;
  detail: Record<string, unknown>;
}

export interface OpenedPage extends WatchedPage {
  page: Page;
  /** How many photos the page has sent. */
  photos(): number;
  /** Events of the component so far. */
  events(): Promise<CaptureEvent[]>;
  /** Resolves when the component shows one of these views. */
  view(...names: string[]): Promise<void>;
  click(action: string): Promise<void>;
  text(part: 'title' | 'status'): Promise<string>;
}

const recordEvents = `
  window.captureEvents = [];
  for (const name of ['progress', 'hint', 'result', 'cancel', 'error']) {
    addEventListener('livegate-' + name, ({ detail }) => captureEvents.push({ name, detail }));
  }
`;

/** Opens the page of a session in a tab of its own. `prepare` runs before the page is loaded. */
export async function openCapturePage(
  context: BrowserContext,
  url: string,
  prepare: (page: Page) => Promise<unknown> = async () => undefined,
): Promise<OpenedPage> {
  const page = await context.newPage();
  const { hosts, complaints } = await watchPage(page);
  let sent = 0;
  page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    if (request.method() === 'POST' && pathname.endsWith('/photo')) sent += 1;
  });
  await page.addInitScript(recordEvents);
  await prepare(page);
  await page.goto(url);
  const part = (selector: string) => page.locator(`livegate-capture ${selector}`);
  return {
    page,
    hosts,
    complaints,
    photos: () => sent,
    events: () => page.evaluate('captureEvents'),
    view: (...names) =>
      part(names.map((name) => `.frame[data-view="${name}"]`).join(', ')).waitFor(),
    click: (action) => part(`[data-action="${action}"]`).click(),
    text: async (name) => (await part(`.${name}`).textContent()) ?? '',
  };
}
