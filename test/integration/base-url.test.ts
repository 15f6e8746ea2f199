import express from 'express';
import { describe, expect, it } from 'vitest';
import { createBoardPage } from '../../apps/api/src/operator/queue-board.js';
import { defaultAuth } from '@livegate/testing/gateway/caller';
import { startGateway } from '@livegate/testing/gateway/gateway';
import { sendRaw } from '@livegate/testing/gateway/raw-http';
import { serve } from '@livegate/testing/gateway/serve';
import { greySquare } from '@livegate/testing/images/photos';

const { jpeg } = await greySquare();
const content = JSON.stringify({ image: jpeg.toString('base64') });
const endpoint = JSON.stringify({
  url: 'https://example.com/hook',
  events: ['passive_liveness.completed'],
});

type Gateway = Awaited<ReturnType<typeof startGateway>>;

/** Sends a request without the headers that a client library would add. */
async function request(port: number, start: string, lines: string[], body = '') {
  const auth = Object.entries(defaultAuth).map(([name, value]) => `${name}: ${value}`);
  const json = ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`];
  const head = [start, ...lines, ...auth, ...(body === '' ? [] : json)];
  const answer = await sendRaw(port, [`${head.join('\r\n')}\r\n\r\n${body}`]);
  return { ...answer, location: answer.headers.get('location') ?? '' };
}

interface Links {
  id: string;
  links: { self: string; cancel: string };
}

/** The base of every URL that a gateway shows to one caller. */
async function collectBases({ port, queue }: Gateway, lines: string[], version = '1.1') {
  const http = `HTTP/${version}`;
  const checks = `POST /face/v1/passive-liveness ${http}`;
  const queued = await request(port, checks, [...lines, 'Prefer: respond-async'], content);
  const { id, links } = queued.body as Links;
  const waited = await request(port, checks, [...lines, 'Prefer: wait=0'], content);
  const path = `/v1/jobs/${id}`;
  const read = await request(port, `GET ${path} ${http}`, lines);
  const made = await request(port, `POST /v1/webhook-endpoints ${http}`, lines, endpoint);
  const whe = (made.body as { id: string }).id;
  const document = await request(port, `GET /openapi.json ${http}`, lines);
  const { servers } = document.body as { servers: { url: string }[] };
  const before = (url: string, end: string) =>
    url.endsWith(end) ? url.slice(0, -end.length) : url;
  return {
    links: [
      before(queued.location, path),
      before(links.self, path),
      before(links.cancel, `${path}/cancel`),
      before(waited.location, `/v1/jobs/${waited.headers.get('request-id')}`),
      before((read.body as Links).links.self, path),
      before(made.location, `/v1/webhook-endpoints/${whe}`),
      // The base of the links in webhooks.
      queue.jobs.get(id)?.baseUrl,
    ],
    servers,
  };
}

async function expectBase(gateway: Gateway, lines: string[], base: string, version?: string) {
  const { links } = await collectBases(gateway, lines, version);
  expect(links).toEqual(Array(7).fill(base));
}

const host = 'Host: gateway.internal:8080';
const forwarded = [
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: liveness.example',
  'X-Forwarded-Prefix: /faces/',
];
const start = (trustedProxies?: string | number, publicUrl?: string) =>
  startGateway({ outcome: 'never', trustedProxies, publicUrl });

describe('links begin with', () => {
  it('the host of the request if no proxy is trusted, even if a proxy says otherwise', async () => {
    const gateway = await start();
    await expectBase(gateway, [host], 'http://gateway.internal:8080');
    await expectBase(gateway, [host, ...forwarded], 'http://gateway.internal:8080');
  });

  it('the host of the request if only another proxy is trusted', async () => {
    const gateway = await start('10.0.0.0/8');
    await expectBase(gateway, [host, ...forwarded], 'http://gateway.internal:8080');
  });

  it.each(['loopback', '127.0.0.0/8', 1])(
    'the forwarded URL of a trusted proxy: %s',
    async (trusted) => {
      const gateway = await start(trusted);
      await expectBase(gateway, [host, ...forwarded], 'https://liveness.example/faces');
      await expectBase(gateway, [host], 'http://gateway.internal:8080');
    },
  );

  it('the configured URL, even if request and proxy say otherwise', async () => {
    const gateway = await start('loopback', 'https://faces.example/api');
    await expectBase(gateway, [host, ...forwarded], 'https://faces.example/api');
    await expectBase(gateway, [], 'https://faces.example/api', '1.0');
  });

  it('the path alone if an HTTP/1.0 request has no Host', async () => {
    const gateway = await start('loopback');
    await expectBase(gateway, [], '', '1.0');
    await expectBase(gateway, ['X-Forwarded-Prefix: /faces'], '/faces', '1.0');
  });
});

describe('the server in the OpenAPI document', () => {
  it.each([
    ['is the host that the document was read from', undefined, undefined, forwarded, '/'],
    ['is below the prefix of a trusted proxy', 'loopback', undefined, forwarded, '/faces'],
    [
      'is the configured URL',
      'loopback',
      'https://faces.example/api',
      forwarded,
      'https://faces.example/api',
    ],
  ])('%s', async (_name, trusted, publicUrl, lines, url) => {
    const { servers } = await collectBases(await start(trusted, publicUrl), [host, ...lines]);
    expect(servers).toEqual([{ url }]);
  });
});

it.each([
  ['loopback', undefined, '/faces/operator/queues/'],
  ['10.0.0.0/8', undefined, '/operator/queues/'],
  ['loopback', 'https://faces.example/api', '/api/operator/queues/'],
])(
  'the queue board is served below the path of the service: %s, %s',
  async (trusted, publicUrl, base) => {
    const template = '<script type="module" src="static/board.js"></script>';
    const app = express().set('trust proxy', trusted);
    app.use('/operator/queues', createBoardPage({ template, uiConfig: {}, publicUrl }));
    const url = `http://127.0.0.1:${await serve(app)}/operator/queues`;
    const page = await fetch(url, { headers: { 'X-Forwarded-Prefix': '/faces' } });
    expect(await page.text()).toContain(`<base href="${base}" />`);
  },
);
