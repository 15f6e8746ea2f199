import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { developmentCredential } from '../../apps/api/src/credentials/credential-book.js';
import { findFreePort } from '../../tools/dev/ports.js';
import { selfie } from '@livegate/testing/images/photos';
import { openBrowser, type TestBrowser } from '@livegate/testing/product/browser';
import {
  asOperator,
  operator,
  operatorLogin,
  writeCredentials,
} from '@livegate/testing/product/credentials-file';
import { ask, credentials, postImage } from '@livegate/testing/product/post-image';
import {
  type ApiProcess,
  createEnv,
  startApi,
  startWorker,
  untilReady,
} from '@livegate/testing/product/processes';

const pollOptions = { timeout: 20_000, interval: 50 };
const tenant = { ...developmentCredential, permissions: ['passive-liveness', 'webhook-endpoints'] };
const basic = (user: string) => ({ Authorization: `Basic ${btoa(user)}` });

let api: ApiProcess;
let metricsPort: number;
let checkId: string;
/** Texts that the page must not contain: the score, the webhook URL and bytes of the image. */
let secrets: string[];
let browser: TestBrowser | undefined;
const closers: (() => unknown)[] = [];

// Installing Chromium, where it is missing and root may, takes minutes.
beforeAll(async () => {
  browser = await openBrowser();
  closers.push(() => browser?.close());
  await startProduct();
  await fillQueues();
}, 300_000);
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

async function startProduct(): Promise<void> {
  const { file, remove } = await writeCredentials([tenant, operator]);
  closers.push(remove);
  const env = createEnv({
    LIVEGATE_CREDENTIALS_FILE: file,
    LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
  });
  metricsPort = await findFreePort();
  const forApi = {
    LIVEGATE_QUEUE_BOARD: 'true',
    OTEL_METRICS_EXPORTER: 'prometheus',
    OTEL_EXPORTER_PROMETHEUS_PORT: `${metricsPort}`,
  };
  const [worker, gateway] = await Promise.all([startWorker(env), startApi({ ...env, ...forApi })]);
  api = gateway;
  closers.push(() => Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]));
  await untilReady(api.url);
}

/** Leaves a finished check in one queue and a delayed delivery in the other. */
async function fillQueues(): Promise<void> {
  const hook = createServer((req, res) => {
    req.resume();
    res.writeHead(500).end();
  });
  hook.listen(0, '127.0.0.1');
  closers.push(() => hook.close());
  await once(hook, 'listening');
  const host = `127.0.0.1:${(hook.address() as AddressInfo).port}`;
  const url = `http://${host}/hook?token=hook-mark`;
  await ask(`${api.url}/v1/webhook-endpoints`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ url, events: ['passive_liveness.completed'] }),
  });
  const image = await selfie();
  const { requestId, body } = await postImage(api.url, image);
  checkId = requestId;
  const score = String(body.result.spoof_percentage);
  const bytes = image.subarray(600, 640).toString('base64').slice(0, 40);
  secrets = [score, 'spoof_percentage', 'hook-mark', host, bytes];
  await vi.waitUntil(
    () => api.log.some((line) => line['msg'] === 'webhook attempted'),
    pollOptions,
  );
}

async function read(path: string, headers: Record<string, string> = asOperator, method = 'GET') {
  const response = await fetch(`${api.url}/operator/queues${path}`, { headers, method });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
}

/** The JSON body of an error, which is the API's also on this page. */
async function readError(...request: Parameters<typeof read>) {
  const { status, headers, text } = await read(...request);
  const { error_code: code, error } = JSON.parse(text) as Record<string, string>;
  return { status, code, error, challenge: headers.get('www-authenticate') };
}

const disallowed = 'Access to this API has been disallowed';

describe('the /operator/queues page', () => {
  it('answers 404 unless LIVEGATE_QUEUE_BOARD is true', async () => {
    const { status, body } = await ask(`${inject('url')}/operator/queues`);
    expect([status, body['error_code']]).toEqual([404, 'not_found']);
  });

  it.each([
    ['no credentials', {}],
    ['a wrong password', basic('operator:default-password')],
    ['an unknown username', basic('nobody:operator-password')],
  ])('answers 401 and asks for a password: %s', async (_name, headers) => {
    for (const path of ['', '/api/queues', '/static/favicon-32x32.png', '/nothing']) {
      const challenge = expect.stringContaining('Basic');
      const refusal = { status: 401, code: 'unauthorized', error: disallowed, challenge };
      expect(await readError(path, headers)).toEqual(refusal);
    }
  });

  it('refuses tenants, and the API refuses its operators', async () => {
    const forbidden = { status: 403, code: 'forbidden', error: disallowed };
    expect(await readError('/api/queues', credentials)).toMatchObject(forbidden);
    const asked = await ask(`${api.url}/v1/jobs/${checkId}`, { headers: asOperator });
    expect([asked.status, asked.body['error_code']]).toEqual([403, 'forbidden']);
  });

  it('shows both queues in a real browser, without scores, URLs or image bytes', async ({
    skip,
  }) => {
    if (!browser) return skip('Chromium is not installed');
    // The same as typing them into the browser's password dialog.
    await browser.context.setHTTPCredentials({
      ...operatorLogin,
    });
    const page = await browser.context.newPage();
    const hosts = new Set<string>();
    const complaints: string[] = [];
    const answers: Promise<string>[] = [];
    page.on('request', (request) => hosts.add(new URL(request.url()).host));
    page.on('response', (response) => {
      if (response.url().includes('/api/')) answers.push(response.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    await page.goto(`${api.url}/operator/queues/queue/liveness`);
    await page.getByText(checkId).first().waitFor();
    await page.getByText('"LOW"').waitFor();
    await page.getByText('webhooks').first().click();
    await page.getByText('"deliver"').waitFor();

    const shown = [await page.content(), ...(await Promise.all(answers))].join('\n');
    expect(secrets.filter((secret) => shown.includes(secret))).toEqual([]);
    expect(hosts).toEqual(new Set([new URL(api.url).host]));
    // bull-board hides a scroll bar with an inline style, which the Content-Security-Policy blocks.
    expect(complaints.filter((text) => !text.includes('inline style'))).toEqual([]);
    await page.close();
  });

  it.each(['latest', 'completed', 'delayed'])(
    'lists jobs without scores, URLs or image bytes: %s',
    async (status) => {
      for (const queue of ['liveness', 'webhooks']) {
        const { text } = await read(`/api/queues?activeQueue=${queue}&status=${status}`);
        expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
      }
    },
  );

  it.each(['', '/logs', '/flow'])(
    'shows one job without score, URL or image bytes: "%s"',
    async (part) => {
      const { status, text } = await read(`/api/queues/liveness/${checkId}${part}`);
      expect(status).toBe(200);
      expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
    },
  );

  it.each([
    ['PUT', '/api/queues/pause'],
    ['PUT', '/api/queues/liveness/pause'],
    ['POST', '/api/queues/liveness/add'],
    ['PUT', '/api/queues/webhooks/empty'],
    ['PATCH', '/api/queues/webhooks/a/update-data'],
  ])('refuses to change a queue: %s %s', async (method, path) => {
    const refusal = { status: 405, code: 'method_not_allowed' };
    expect(await readError(path, asOperator, method)).toMatchObject(refusal);
  });

  it('answers 404 in JSON for an unknown path', async () => {
    const nothing = { status: 404, code: 'not_found' };
    expect(await readError('/api/nothing')).toMatchObject(nothing);
    expect(await readError('/static/nothing.js')).toMatchObject(nothing);
  });

  it('is counted in metrics by its routes, without job ids', async () => {
    await read(`/api/queues/liveness/${checkId}`);
    const scrape = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    expect(scrape).toContain('http_route="/operator/queues/api/queues/:queueName/:jobId"');
    expect(scrape).not.toContain(checkId);
  });
});
