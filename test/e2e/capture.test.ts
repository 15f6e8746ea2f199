import { LogLevel, setLogLevel, Vision } from '@glair/vision';
import { noFace, selfie } from '@livegate/testing/images/photos';
import { openBrowser, type TestBrowser } from '@livegate/testing/product/browser';
import { openCapturePage } from '@livegate/testing/capture/capture-page';
import {
  type CameraScene,
  createFakeCamera,
  type FakeCamera,
} from '@livegate/testing/capture/fake-camera';
import { ask } from '@livegate/testing/product/post-image';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from 'vitest';

const urls = {
  success_url: 'https://shop.example/done?order=4711#/next',
  cancel_url: 'https://shop.example/cart',
};
const eventually = { timeout: 30_000, interval: 50 };

let camera: FakeCamera;
let browser: TestBrowser | undefined;

// Installing Chromium, where it is missing and root may, takes minutes.
beforeAll(async () => {
  setLogLevel(LogLevel.SILENT);
  // The SDK prints every request.
  vi.spyOn(console, 'log').mockReturnValue();
  camera = await createFakeCamera();
  browser = await openBrowser(camera.flags);
  await browser?.context.route('https://shop.example/**', (route) =>
    route.fulfill({ contentType: 'text/html', body: '<title>Shop</title>' }),
  );
}, 300_000);
afterAll(async () => {
  vi.restoreAllMocks();
  await browser?.close();
  await camera.remove();
});

const sdk = () => new Vision({ baseUrl: inject('url') }).faceBio.passiveLivenessSessions;

interface Created {
  sid: string;
  url: string;
}

/** With what GLAIR has, by its SDK; with more, by HTTP. */
async function create(more?: object): Promise<Created> {
  if (!more) return (await sdk().create(urls)) as Created;
  const headers = { 'content-type': 'application/json' };
  const path = `${inject('url')}/face/v1/passive-liveness-sessions`;
  const body = JSON.stringify({ ...urls, ...more });
  return (await ask(path, { method: 'POST', headers, body })).body as unknown as Created;
}

interface Visit {
  shows?: CameraScene | 'denied';
  session?: Created;
  prepare?: (page: Page) => Promise<unknown>;
}

/** A person with this before the camera opens the page of a session. */
async function visit({ shows = { shows: 'selfie' }, session, prepare }: Visit = {}) {
  const { context } = browser!;
  await context.clearPermissions();
  if (shows !== 'denied') {
    await camera.show(shows);
    await context.grantPermissions(['camera'], { origin: inject('url') });
  }
  const { url, sid } = session ?? (await create());
  const opened = await openCapturePage(context, url, prepare);
  onTestFinished(() => opened.page.close());
  const redirected = () => opened.page.waitForURL('https://shop.example/**');
  return { ...opened, url, sid, redirected, retrieve: () => sdk().retrieve({ sid }) };
}

const choose = (page: Page, bytes: Uint8Array) =>
  page.setInputFiles('livegate-capture input[type="file"]', {
    name: 'selfie.jpg',
    mimeType: 'image/jpeg',
    buffer: Buffer.from(bytes),
  });

describe('a person before the camera', () => {
  it('is done without a click: SDK, page, photo, redirect, result', async () => {
    const { page, sid, hosts, complaints, redirected, retrieve, photos } = await visit({
      prepare: (opened) =>
        opened.route('**/photo', async (route) => {
          bodies.push(route.request().postDataBuffer() ?? Buffer.alloc(0));
          await route.continue();
        }),
    });
    await redirected();
    expect(page.url()).toBe(`https://shop.example/done?order=4711&sid=${sid}#/next`);
    expect(await retrieve()).toMatchObject({
      status: 'FINISHED',
      result: { result: { spoof_status: 'LOW' } },
      // Chromium's fake camera has the name of its file.
      signals: ['virtual_camera'],
    });
    expect(photos()).toBe(1);
    // Neither the photo nor anything else stays in the browser.
    const stored = await page.context().storageState({ indexedDB: true });
    expect(stored).toEqual({ cookies: [], origins: [] });
    expect([...hosts].toSorted()).toEqual([new URL(inject('url')).host, 'shop.example']);
    expect(complaints).toEqual([]);
  });

  const bodies: Buffer[] = [];
  it('is sent once, as one JPEG of the resolution of the camera', () => {
    expect(bodies).toHaveLength(1);
    const [body] = bodies;
    const start = body!.indexOf(Buffer.from([0xff, 0xd8, 0xff]));
    const frame = body!.indexOf(Buffer.from([0xff, 0xc0, 0x00, 0x11, 0x08]), start);
    expect([body!.readUInt16BE(frame + 7), body!.readUInt16BE(frame + 5)]).toEqual([1280, 720]);
  });

  it('with a phone held upright is done as well', async () => {
    const { redirected, retrieve } = await visit({ shows: { shows: 'selfie', isUpright: true } });
    await redirected();
    expect(await retrieve()).toMatchObject({ status: 'FINISHED' });
  });

  it.each<[string, CameraScene]>([
    ['face_too_close', { shows: 'close' }],
    ['face_too_small', { shows: 'far' }],
    ['face_off_center', { shows: 'aside' }],
    ['too_many_faces', { shows: 'two people' }],
    ['face_turned', { shows: 'a tilted head' }],
    ['face_not_detected', { shows: 'nobody' }],
    ['image_too_dark', { shows: 'selfie', light: 0.12 }],
    ['image_too_bright', { shows: 'selfie', light: 12 }],
    ['hold_still', { shows: 'selfie', motion: 60 }],
  ])('gets the hint %s, and no photo is taken', async (code, scene) => {
    const { page, events, photos, complaints } = await visit({ shows: scene });
    const hints = async () =>
      (await events()).filter(({ name }) => name === 'hint').map(({ detail }) => detail['code']);
    await vi.waitFor(async () => expect(await hints()).toContain(code), eventually);
    const oval = page.locator('livegate-capture .oval');
    expect(await oval.getAttribute('class')).not.toContain('good');
    expect(photos()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('whose head stays tilted gets the photo taken after a while: the hint may be wrong', async () => {
    const { photos } = await visit({ shows: { shows: 'a tilted head' } });
    await vi.waitFor(() => expect(photos()).toBeGreaterThan(0), eventually);
  });

  it('can press the button, look at the photo, and take another one, by keyboard', async () => {
    const { page, view, photos } = await visit({ shows: { shows: 'close' } });
    const press = async (action: string) => {
      const focused = 'document.querySelector("livegate-capture").shadowRoot.activeElement';
      for (let tabs = 0; tabs < 10; tabs += 1) {
        await page.keyboard.press('Tab');
        if ((await page.evaluate(`${focused}?.dataset.action`)) === action) break;
      }
      await page.keyboard.press('Enter');
    };
    await view('camera');
    await press('shoot');
    await view('review');
    await press('retake');
    await view('camera');
    expect(photos()).toBe(0);
    await press('shoot');
    await view('review');
    await press('use');
    await vi.waitFor(() => expect(photos()).toBe(1), eventually);
  });
});

describe('a browser', () => {
  it('without the camera sends a file', async () => {
    const { page, view, click, redirected, retrieve, complaints } = await visit({
      shows: 'denied',
    });
    await view('no-camera');
    expect(await page.locator('livegate-capture canvas.qr').count()).toBe(1);
    const file = page.locator('livegate-capture input[type="file"]');
    expect(await file.getAttribute('capture')).toBe('user');
    await choose(page, await selfie());
    await view('review');
    await click('use');
    await redirected();
    expect(await retrieve()).toMatchObject({ status: 'FINISHED', signals: ['file_upload'] });
    expect(complaints).toEqual([]);
  });

  it('that has no camera for the page, as inside some apps, gets the link to copy', async () => {
    const { page, view, text } = await visit({
      prepare: (opened) =>
        opened.addInitScript(`Object.defineProperty(navigator, 'mediaDevices', {});`),
    });
    await view('no-camera');
    expect(await text('status')).toContain('Open the page in another browser');
    await page.getByText('Copy the link').waitFor();
  });

  it('that never answers the question for the camera can send a file meanwhile', async () => {
    const { page, view, click, redirected, retrieve } = await visit({
      prepare: (opened) =>
        opened.addInitScript('navigator.mediaDevices.getUserMedia = () => new Promise(() => {});'),
    });
    await view('allow-camera');
    await choose(page, await selfie());
    await view('review');
    await click('use');
    await redirected();
    const signals = expect.arrayContaining(['file_upload']) as string[];
    expect(await retrieve()).toMatchObject({ signals });
  });

  it.each(['tiny-face', 'face-points'])(
    'whose %s files are blocked still takes the photo',
    async (model) => {
      const prepare = (page: Page) => page.route(`**/${model}.*`, (route) => route.abort());
      const { redirected, retrieve } = await visit({ prepare });
      await redirected();
      expect(await retrieve()).toMatchObject({ status: 'FINISHED' });
    },
  );

  it('that saves data loads no model, and still takes the photo', async () => {
    const asked: string[] = [];
    const { redirected, retrieve } = await visit({
      prepare: async (page) => {
        page.on('request', (request) => asked.push(new URL(request.url()).pathname));
        await page.addInitScript(
          `Object.defineProperty(navigator, 'connection', { value: { saveData: true } });`,
        );
      },
    });
    await redirected();
    expect(await retrieve()).toMatchObject({ status: 'FINISHED' });
    expect(asked.filter((path) => /tiny-face|face-points/.test(path))).toEqual([]);
  });

  it('with several cameras lets the person choose, but never an infrared one', async () => {
    const { page, view } = await visit({
      shows: { shows: 'nobody' },
      prepare: (opened) =>
        opened.addInitScript(`{
          window.asked = [];
          const { mediaDevices } = navigator;
          const open = mediaDevices.getUserMedia.bind(mediaDevices);
          mediaDevices.getUserMedia = ({ video: { deviceId, ...video } }) => {
            asked.push(deviceId?.exact ?? null);
            return open({ video });
          };
          mediaDevices.enumerateDevices = async () =>
            ['Back Camera', 'Windows Hello IR', 'Front Camera'].map((label) => {
              return { kind: 'videoinput', deviceId: label, label };
            });
        }`),
    });
    await view('camera');
    const menu = page.locator('livegate-capture select');
    expect(await menu.locator('option').allTextContents()).toEqual(['Front Camera', 'Back Camera']);
    const before = ((await page.evaluate('asked')) as unknown[]).length;
    await menu.selectOption('Back Camera');
    await expect
      .poll(async () => ((await page.evaluate('asked')) as unknown[]).slice(before), eventually)
      .toEqual(['Back Camera']);
  });

  it('with a face detector of its own uses that instead of the model', async () => {
    const { events, complaints } = await visit({
      prepare: async (page) => {
        await page.addInitScript('window.FaceDetector = class { async detect() { return []; } }');
        await page.route('**/tiny-face.*', (route) => route.abort());
      },
    });
    const hint = { code: 'face_not_detected', text: 'Show your face to the camera.' };
    await vi.waitFor(
      async () => expect(await events()).toContainEqual({ name: 'hint', detail: hint }),
      eventually,
    );
    expect(complaints).toEqual([]);
  });

  it('with a camera of a plain name causes no signal', async () => {
    const { redirected, retrieve } = await visit({
      prepare: (page) =>
        page.addInitScript(`
          Object.defineProperty(MediaStreamTrack.prototype, 'label', { value: 'FaceTime HD' });
        `),
    });
    await redirected();
    expect(await retrieve()).toMatchObject({ status: 'FINISHED', signals: [] });
  });
});

describe('a photo that is not good enough', () => {
  it('gets a hint, never a verdict, and another photo follows', async () => {
    const { page, view, click, text, redirected } = await visit({ shows: 'denied' });
    await view('no-camera');
    await choose(page, await noFace());
    await click('use');
    await view('hint');
    expect(await text('status')).toBe('Show your face to the camera.');
    await click('retake');
    await view('no-camera');
    await choose(page, Buffer.from('not an image'));
    await click('use');
    await view('hint');
    expect(await text('status')).toBe('This photo cannot be read. Take another one.');
    await click('retake');
    await view('no-camera');
    await choose(page, await selfie());
    await click('use');
    await redirected();
  });

  it('shows the class of the verdict only to a session that has tell_user', async () => {
    for (const tell_user of [true, false]) {
      const session = await create({ tell_user });
      const prepare = (page: Page) =>
        page.addInitScript(
          `addEventListener('livegate-result', (event) => event.preventDefault())`,
        );
      const { view, text } = await visit({ session, prepare });
      await view('done');
      const verdict = tell_user ? 'The check was successful. ' : '';
      expect(await text('status')).toBe(`${verdict}Thank you. You can close this page.`);
    }
  });
});

describe('a bad network', () => {
  /** Answers the first photos in these ways, and lets the others through. */
  const breakPhotos = (page: Page, ...ways: ('503' | 'cut' | 'answer lost')[]) =>
    page.route('**/photo', async (route) => {
      const way = ways.shift();
      if (way === '503') {
        const body = JSON.stringify({ error_code: 'overloaded' });
        await route.fulfill({ status: 503, headers: { 'retry-after': '1' }, body });
      } else if (way === 'cut') await route.abort('connectionreset');
      else if (way === 'answer lost') {
        await route.fetch();
        await route.abort('connectionreset');
      } else await route.continue();
    });

  it('and a 503 in the middle cost a wait, not the photo', async () => {
    const { redirected, retrieve, photos } = await visit({
      prepare: (page) => breakPhotos(page, '503', 'cut', '503'),
    });
    await redirected();
    expect(photos()).toBe(4);
    expect(await retrieve()).toMatchObject({ status: 'FINISHED' });
  });

  it('of 1.6 Mbit/s takes longer, and shows how far the photo is', async () => {
    const { redirected, shares } = await visitSlowly();
    await redirected();
    const between = shares.filter((share) => share > 0 && share < 1);
    expect(between.length).toBeGreaterThan(0);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
  });

  /** Records the progress outside the page, which is gone after the redirect. */
  async function visitSlowly() {
    const shares: number[] = [];
    const { redirected } = await visit({
      prepare: async (page) => {
        await page.exposeFunction('recordShare', (share: number) => shares.push(share));
        await page.addInitScript(`addEventListener('livegate-progress', ({ detail }) => {
          if (detail.phase === 'uploading') recordShare(detail.share);
        });`);
        const devTools = await page.context().newCDPSession(page);
        await devTools.send('Network.enable');
        await devTools.send('Network.emulateNetworkConditions', {
          offline: false,
          latency: 150,
          downloadThroughput: 200_000,
          uploadThroughput: 200_000,
        });
      },
    });
    return { redirected, shares };
  }

  it('that loses the answer does not make the page send the photo again', async () => {
    const { redirected, photos } = await visit({
      prepare: (page) => breakPhotos(page, 'answer lost'),
    });
    await redirected();
    expect(photos()).toBe(1);
  });
});

describe('the session', () => {
  it('gets one photo from a person who clicks twice', async () => {
    const { page, view, redirected, photos } = await visit({ shows: 'denied' });
    await view('no-camera');
    await choose(page, await selfie());
    await page.locator('livegate-capture [data-action="use"]').dblclick();
    await redirected();
    expect(photos()).toBe(1);
  });

  it('is in the language of the browser', async () => {
    const { page, view, text } = await visit({
      shows: { shows: 'nobody' },
      prepare: (opened) =>
        opened.addInitScript(
          `Object.defineProperty(navigator, 'languages', { value: ['id-ID', 'en'] });`,
        ),
    });
    await view('camera');
    expect(await text('title')).toBe('Ambil swafoto');
    expect(await page.title()).toBe('Ambil swafoto');
  });

  it('ends in both of two tabs that send at once', async () => {
    const session = await create();
    const tabs = await Promise.all([visit({ session }), visit({ session })]);
    await Promise.all(tabs.map(({ redirected }) => redirected()));
    expect(await tabs[0].retrieve()).toMatchObject({ status: 'FINISHED' });
  });

  it('goes on here when the phone has sent the photo', async () => {
    const desk = await visit({ shows: { shows: 'nobody' } });
    await desk.view('camera');
    await desk.click('phone');
    await desk.view('phone');
    const phone = await visit({ session: desk });
    await Promise.all([phone.redirected(), desk.redirected()]);
    expect(desk.photos()).toBe(0);
  });

  it('goes back to the cancel_url, and has no button without one', async () => {
    const { page, view, click } = await visit({ shows: { shows: 'nobody' } });
    await view('camera');
    await click('cancel');
    await page.waitForURL(urls.cancel_url);
    const other = await visit({
      shows: { shows: 'nobody' },
      session: await create({ cancel_url: null }),
    });
    await other.view('camera');
    expect(await other.page.locator('livegate-capture [data-action="cancel"]').count()).toBe(0);
  });

  it('leaves the way back to a host that prevents it', async () => {
    const { page, view, click, events, url } = await visit({
      shows: { shows: 'nobody' },
      prepare: (opened) =>
        opened.addInitScript(`addEventListener('livegate-cancel', (e) => e.preventDefault())`),
    });
    await view('camera');
    await click('cancel');
    const told = { name: 'cancel', detail: { redirect: urls.cancel_url } };
    await vi.waitFor(async () => expect(await events()).toContainEqual(told), eventually);
    expect(page.url()).toBe(url);
  });

  it('that is finished redirects again, and never opens the camera', async () => {
    const first = await visit();
    await first.redirected();
    // The redirect replaced the page: the browser's back button leads to what was before it.
    await first.page.goBack();
    expect(first.page.url()).toBe('about:blank');
    const second = await visit({ session: first });
    await second.redirected();
    expect(second.photos()).toBe(0);
  });

  it.each([
    ['is unknown', 'not_found', 404, 'This link is not valid.'],
    ['has expired', 'session_expired', 410, 'This link has expired.'],
  ])('that %s says so', async (_name, error_code, status, words) => {
    const body = JSON.stringify({ error_code });
    const session = { sid: 'a'.repeat(32), url: `${inject('url')}/sessions/${'a'.repeat(32)}` };
    const { view, text, events } = await visit({
      session,
      // The clock of the gateway cannot be moved: its answer is tested in integration/sessions.test.ts.
      prepare: (page) => page.route('**/state', (route) => route.fulfill({ status, body })),
    });
    await view('ended');
    expect(await text('status')).toContain(words);
    const error = { name: 'error', detail: { code: error_code, isFinal: true } };
    expect(await events()).toContainEqual(error);
  });

  it('that takes no more photos says so, and has a way back', async () => {
    const { view, text, click, page } = await visit({
      prepare: (opened) =>
        opened.route('**/state', async (route) => {
          const response = await route.fetch();
          const state = { ...((await response.json()) as object), photos_left: 0, token: null };
          await route.fulfill({ response, json: state });
        }),
    });
    await view('ended');
    expect(await text('status')).toContain('No more photos can be taken here.');
    await click('cancel');
    await page.waitForURL(urls.cancel_url);
  });

  it('chooses the language of the page', async () => {
    const session = await create({ locale: 'id-ID' });
    const { page, view, text } = await visit({ shows: { shows: 'nobody' }, session });
    await view('camera');
    expect(await text('title')).toBe('Ambil swafoto');
    expect(await page.getAttribute('html', 'lang')).toBe('id');
  });
});
