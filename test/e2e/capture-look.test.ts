import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { selfie } from '@livegate/testing/images/photos';
import { findViolations, openBrowser, type TestBrowser } from '@livegate/testing/product/browser';
import { type OpenedPage, openCapturePage } from '@livegate/testing/capture/capture-page';
import { createFakeCamera, type FakeCamera } from '@livegate/testing/capture/fake-camera';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';

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

const pending = {
  status: 'PENDING',
  checking: false,
  tries_left: 3,
  photos_left: 30,
  expired: 0,
  hint: null,
  token: 'token',
  success_redirect: null,
  can_cancel: true,
  verdict: null,
  locale: 'en',
};

/** What the gateway answers, so that every view can be looked at without a worker. */
interface Answers {
  state: { status?: number; json: object };
  photo: object | 'never' | 'busy';
}

interface Look {
  width: number;
  height: number;
  camera: boolean;
  /** Runs before the page. */
  script?: string;
}

async function open(look: Look, answers: Answers): Promise<OpenedPage> {
  const { context } = browser!;
  await context.clearPermissions();
  if (look.camera) await context.grantPermissions(['camera'], { origin: inject('url') });
  const url = `${inject('url')}/sessions/${'a'.repeat(32)}`;
  const opened = await openCapturePage(context, url, async (page) => {
    await page.setViewportSize(look);
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
    await page.route('**/state', (route) => route.fulfill(answers.state));
    if (look.script !== undefined) await page.addInitScript(look.script);
    await page.route('**/photo', (route) => {
      if (answers.photo === 'never') return undefined;
      const busy = { status: 503, headers: { 'retry-after': '60' }, json: {} };
      return route.fulfill(answers.photo === 'busy' ? busy : { json: answers.photo });
    });
  });
  onTestFinished(() => opened.page.close());
  return opened;
}

/** Without the rules about pages where a view has no say: the page is that of an unknown session. */
async function findProblems(page: Page, width: number): Promise<string[]> {
  const violations = await findViolations(page);
  const contentWidth = (await page.evaluate('document.documentElement.scrollWidth')) as number;
  return [
    ...violations,
    ...(contentWidth > width ? [`the content is ${contentWidth} px wide`] : []),
  ];
}

const chooseFile = async ({ page }: OpenedPage) =>
  page.setInputFiles('livegate-capture input[type="file"]', {
    name: 'selfie.jpg',
    mimeType: 'image/jpeg',
    buffer: await selfie(),
  });

/** Every view, and the way to it. */
const views: Record<string, Way> = {
  'allow-camera': {
    look: { script: 'navigator.mediaDevices.getUserMedia = () => new Promise(() => {});' },
  },
  camera: {},
  'camera, Indonesian': { answers: { state: { json: { ...pending, locale: 'id' } } } },
  'no-camera, Indonesian': {
    look: { camera: false },
    answers: { state: { json: { ...pending, locale: 'id' } } },
  },
  'no-camera': { look: { camera: false } },
  phone: { go: ({ click }) => click('phone') },
  review: { go: chooseFile },
  sending: { answers: { photo: 'never' }, go: sendFile },
  'sending, busy': {
    answers: { photo: 'busy' },
    go: async (opened) => {
      await sendFile(opened);
      await opened.page.getByText('The service is busy.').waitFor();
    },
  },
  hint: {
    answers: { photo: { ...pending, hint: { code: 'face_too_close', message: '' } } },
    go: sendFile,
  },
  done: { answers: { state: { json: { ...pending, status: 'FINISHED', verdict: 'LOW' } } } },
  ended: { answers: { state: { status: 410, json: { error_code: 'session_expired' } } } },
  failed: { answers: { state: { status: 400, json: { error_code: 'bad_request' } } } },
};

interface Way {
  look?: Partial<Look>;
  answers?: Partial<Answers>;
  go?: (opened: OpenedPage) => Promise<unknown>;
}

async function sendFile(opened: OpenedPage): Promise<void> {
  await chooseFile(opened);
  await opened.click('use');
}

/** A folder for a person who wants to look at the views. */
const gallery = process.env['LIVEGATE_TEST_SCREENSHOTS'];

describe.each([
  [390, 844],
  [1280, 900],
] as const)('at %i x %i px', (width, height) => {
  it.each(Object.entries(views).filter(([name]) => width > 390 || name !== 'phone'))(
    'the view %s is accessible in light and dark, fits, and complains about nothing',
    async (name, { look, answers, go }) => {
      await camera.show({ shows: 'close', isUpright: width < height });
      const opened = await open(
        { width, height, camera: true, ...look },
        { state: { json: pending }, photo: 'never', ...answers },
      );
      if (go) {
        await opened.view('camera');
        await go(opened);
      }
      await opened.view(name.split(',')[0]!);
      for (const scheme of ['light', 'dark'] as const) {
        await opened.page.emulateMedia({ colorScheme: scheme });
        const problems = { [scheme]: await findProblems(opened.page, width) };
        expect(problems).toEqual({ [scheme]: [] });
        if (gallery !== undefined) await keepScreenshot(opened.page, `${name}-${width}-${scheme}`);
      }
      // The session is unknown, and some of the answers are errors.
      expect(opened.complaints.filter((text) => !text.startsWith('Failed to load'))).toEqual([]);
      expect([...opened.hosts]).toEqual([new URL(inject('url')).host]);
    },
  );
});

async function keepScreenshot(page: Page, name: string): Promise<void> {
  await mkdir(gallery!, { recursive: true });
  await page.screenshot({ path: join(gallery!, `${name}.png`) });
}

it.each([
  ['no-preference', 1],
  ['reduce', 0],
] as const)('with the preference %s for motion, %i things move', async (reducedMotion, moving) => {
  const look = { width: 390, height: 844, camera: true } as const;
  const opened = await open(look, { state: { json: pending }, photo: 'busy' });
  await opened.page.emulateMedia({ reducedMotion });
  await opened.view('camera');
  await sendFile(opened);
  await opened.view('sending');
  // While the page waits for the gateway, the bar does not know how far it is.
  const bar = opened.page.locator('livegate-capture progress:not([value])');
  await bar.waitFor();
  const count = `document.querySelector('livegate-capture').shadowRoot.getAnimations()
    .filter(({ effect }) => effect.getComputedTiming().iterations === Infinity).length`;
  expect(await opened.page.evaluate(count)).toBe(moving);
});

it('on a phone on its side, the picture and the button are on the screen together', async () => {
  const look = { width: 740, height: 360, camera: true } as const;
  const opened = await open(look, { state: { json: pending }, photo: 'never' });
  await opened.view('camera');
  for (const part of ['.stage', '.status', '.main']) {
    const box = await opened.page.locator(`livegate-capture ${part}`).boundingBox();
    expect(box!.y).toBeGreaterThanOrEqual(0);
    expect(box!.y + box!.height).toBeLessThanOrEqual(look.height);
  }
  if (gallery) await opened.page.screenshot({ path: join(gallery, 'camera-740-light.png') });
});

it('the hint of the live region changes once a second at most', async () => {
  await camera.show({ shows: 'selfie', motion: 60 });
  const look = { width: 390, height: 844, camera: true } as const;
  const opened = await open(look, { state: { json: pending }, photo: 'never' });
  await opened.view('camera');
  const times = (await opened.page.evaluate(`new Promise((resolve) => {
    const status = document.querySelector('livegate-capture').shadowRoot.querySelector('.status');
    const times = [];
    new MutationObserver(() => times.push(performance.now())).observe(status, { childList: true });
    setTimeout(() => resolve(times), 4000);
  })`)) as number[];
  const gaps = times.slice(1).map((time, n) => time - times[n]!);
  expect(gaps.filter((gap) => gap < 990)).toEqual([]);
});

it.each([
  ['the face detector', 'tiny-face', 200_000],
  ['the model for the points of a face', 'face-points', 90_000],
])('%s, which is loaded later, is small', async (_name, model, limit) => {
  const sizes = [`${model}.bin`, `${model}.json`].map(async (name) => {
    return (await stat(new URL(`../../apps/api/dist/public/${name}`, import.meta.url))).size;
  });
  const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  expect(total).toBeGreaterThan(limit / 2);
  expect(total).toBeLessThan(limit);
});

it('the scripts of the page take less than 60 kB, compressed', async () => {
  const names = ['livegate-capture.js', 'session.js'];
  const sizes = names.map(async (name) => {
    const script = new URL(`../../apps/api/dist/public/${name}`, import.meta.url);
    return gzipSync(await readFile(script)).length;
  });
  const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  expect(total).toBeLessThan(60_000);
});
