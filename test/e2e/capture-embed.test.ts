import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogLevel, setLogLevel, Vision } from '@glair/vision';
import { openBrowser, type TestBrowser } from '@livegate/testing/product/browser';
import { openCapturePage } from '@livegate/testing/capture/capture-page';
import { createFakeCamera, type FakeCamera } from '@livegate/testing/capture/fake-camera';
import {
  type ApiProcess,
  type AppProcess,
  createEnv,
  startApi,
  startWorker,
  untilReady,
} from '@livegate/testing/product/processes';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';

const theme = {
  name: 'Acme "Bank" </script>',
  logo: 'logo.svg',
  colors: { light: { accent: '#b00020' }, dark: { accent: '#ffb4ab' } },
  texts: { en: { title: 'Show us your face' }, de: { title: 'Zeigen Sie Ihr Gesicht' } },
};

let [folder, shopUrl] = ['', ''];
let camera: FakeCamera;
let browser: TestBrowser | undefined;
let shop: Server;
let api: ApiProcess;
let worker: AppProcess;

// Installing Chromium, where it is missing and root may, takes minutes.
beforeAll(async () => {
  setLogLevel(LogLevel.SILENT);
  // The SDK prints every request.
  vi.spyOn(console, 'log').mockReturnValue();
  folder = await mkdtemp(join(tmpdir(), 'livegate-theme-'));
  await writeFile(join(folder, 'logo.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  await writeFile(join(folder, 'theme.json'), JSON.stringify(theme));
  camera = await createFakeCamera();
  await camera.show({ shows: 'selfie' });
  browser = await openBrowser(camera.flags);
  shopUrl = await startShop();
  const env = createEnv({
    LIVEGATE_PAGE_THEME_FILE: join(folder, 'theme.json'),
    LIVEGATE_SESSION_EMBED_ORIGINS: shopUrl,
  });
  [worker, api] = await Promise.all([startWorker(env), startApi(env)]);
  await untilReady(api.url);
}, 300_000);
afterAll(async () => {
  vi.restoreAllMocks();
  shop.close();
  await Promise.all([browser?.close(), api.stop(), worker.stop('SIGKILL'), camera.remove()]);
  await rm(folder, { recursive: true });
});

const sdk = () => new Vision({ baseUrl: api.url }).faceBio.passiveLivenessSessions;
const create = async () =>
  (await sdk().create({ success_url: `${shopUrl}/done` })) as { sid: string; url: string };

/** A site that hosts the example page of the package, and creates sessions on its server. */
async function startShop(): Promise<string> {
  const file = new URL('../../packages/capture/example.html', import.meta.url);
  const example = await readFile(file, 'utf8');
  shop = createServer((req, res) => {
    if (req.url === '/start') void create().then((created) => res.end(JSON.stringify(created)));
    else {
      res.setHeader('content-type', 'text/html');
      res.end(example.replace('https://gateway.example', api.url));
    }
  });
  shop.listen(0, '127.0.0.1');
  await once(shop, 'listening');
  return `http://127.0.0.1:${(shop.address() as AddressInfo).port}`;
}

it('a page of another site takes the photo with the component, and goes on by itself', async () => {
  const { context } = browser!;
  await context.grantPermissions(['camera'], { origin: shopUrl });
  const { page, hosts, complaints, events } = await openCapturePage(context, `${shopUrl}/`);
  onTestFinished(() => page.close());
  await page.getByText('Thank you. Your account is being opened.').waitFor();
  expect(page.url()).toBe(`${shopUrl}/`);
  const told = await events();
  const phases = told.map(({ name, detail }) => (name === 'progress' ? detail['phase'] : name));
  expect(phases[0]).toBe('camera');
  expect(phases).toContain('uploading');
  expect(phases.at(-1)).toBe('result');
  const { redirect } = told.at(-1)!.detail as { redirect: string };
  const sid = new URL(redirect).searchParams.get('sid')!;
  expect(await sdk().retrieve({ sid })).toMatchObject({ status: 'FINISHED' });
  expect([...hosts].toSorted()).toEqual([new URL(api.url).host, new URL(shopUrl).host].toSorted());
  expect(complaints).toEqual([]);
});

it('only the origins of the setting may read a session', async () => {
  const { url } = await create();
  const readFrom = async (origin: string, method = 'GET') => {
    const { headers, status } = await fetch(`${url}/state`, { method, headers: { origin } });
    return { status, allowed: headers.get('access-control-allow-origin') };
  };
  expect(await readFrom(shopUrl)).toEqual({ status: 200, allowed: shopUrl });
  expect(await readFrom(shopUrl, 'OPTIONS')).toEqual({ status: 204, allowed: shopUrl });
  expect(await readFrom('https://evil.example')).toEqual({ status: 200, allowed: null });
  expect(await readFrom('https://evil.example', 'OPTIONS')).toEqual({ status: 405, allowed: null });
});

it('the page has the logo, the colors and the texts of the operator', async () => {
  const { context } = browser!;
  await context.clearPermissions();
  const { url } = await create();
  const { page, text, view, complaints } = await openCapturePage(context, url, (opened) =>
    opened.emulateMedia({ colorScheme: 'dark' }),
  );
  onTestFinished(() => page.close());
  await view('no-camera');
  const button = `document.querySelector('livegate-capture').shadowRoot.querySelector('.main')`;
  expect(await page.evaluate(`getComputedStyle(${button}).backgroundColor`)).toBe(
    'rgb(255, 180, 171)',
  );
  expect(await page.locator('#logo').getAttribute('alt')).toBe(theme.name);
  expect(await page.locator('#logo').getAttribute('src')).toMatch(/^data:image\/svg\+xml;base64,/);
  expect(await text('title')).toBe('The camera cannot be used');
  expect(await page.title()).toContain(theme.name);
  await context.grantPermissions(['camera'], { origin: api.url });
  await page.locator('livegate-capture [data-action="camera"]').click();
  await view('camera');
  expect(await text('title')).toBe(theme.texts.en.title);
  expect(complaints).toEqual([]);
});
