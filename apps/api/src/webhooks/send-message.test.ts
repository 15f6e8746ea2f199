import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createWebhookSecret } from '@livegate/core/domain';
import type { Log } from '@livegate/core/telemetry';
import { pino } from 'pino';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createAddressGuard, parseAddressRanges, type ResolveName } from './address-guard.js';
import { createSendMessage, parseRetryAfter } from './send-message.js';

const loopback = parseAddressRanges('127.0.0.1');
const { secret } = createWebhookSecret();

interface SenderOptions {
  allowed?: typeof loopback;
  resolveName?: ResolveName;
  limitMs?: number;
  failAfterMs?: number;
  log?: Log;
}

const silent = pino({ level: 'silent' });

function createSender(options: SenderOptions = {}) {
  const { allowed = loopback, limitMs = 5000, log = silent, resolveName } = options;
  const guard = createAddressGuard(allowed, {
    failAfterMs: options.failAfterMs ?? 0,
    ...(resolveName && { resolveName }),
  });
  const urlRules = { httpsOnly: false, guard };
  const send = createSendMessage({ urlRules, limitMs, now: Date.now, log });
  return (url: string, secrets = [secret]) =>
    send({ id: 'msg_1', url, payload: '{"type":"webhook.test"}', secrets });
}

/** A receiver on loopback that records its requests. */
async function startReceiver(answer: RequestListener) {
  const visits: string[] = [];
  const server = createServer((req, res) => {
    visits.push(req.url ?? '');
    answer(req, res);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { server, visits, port, url: `http://127.0.0.1:${port}/hook` };
}

async function readMessage(req: IncomingMessage) {
  let body = '';
  for await (const chunk of req) body += String(chunk);
  return { body, headers: req.headers as Record<string, string> };
}

describe('a webhook message', () => {
  it('is signed as Standard Webhooks requires, once for each secret', async () => {
    const other = createWebhookSecret().secret;
    const received = withResolvers<ReturnType<typeof readMessage>>();
    const { url } = await startReceiver((req, res) => {
      received.resolve(readMessage(req));
      res.end('thanks');
    });
    const attempt = await createSender()(url, [secret, other]);
    expect(attempt).toMatchObject({ statusCode: 200, responseExcerpt: 'thanks' });
    const { body, headers } = await received.promise;
    for (const key of [secret, other]) {
      expect(new Webhook(key).verify(body, headers)).toEqual({ type: 'webhook.test' });
    }
    expect(() => new Webhook(createWebhookSecret().secret).verify(body, headers)).toThrow(
      /signature/,
    );
    expect(headers).toMatchObject({
      'webhook-id': 'msg_1',
      'content-type': 'application/json',
      'content-length': '23',
      'webhook-timestamp': `${Math.floor(attempt.at / 1000)}`,
      'user-agent': expect.stringMatching(/^Livegate-Webhooks\//),
    });
  });
});

describe('a webhook attempt', () => {
  it('keeps the first kilobyte of an endless answer and closes the connection', async () => {
    const cutOff = withResolvers<undefined>();
    const { url } = await startReceiver((_req, res) => {
      res.on('close', () => cutOff.resolve(undefined));
      const pour = () => {
        while (res.write('a'.repeat(16_384)));
        res.once('drain', pour);
      };
      pour();
    });
    const attempt = await createSender()(url);
    expect(attempt.statusCode).toBe(200);
    expect(attempt.responseExcerpt).toBe('a'.repeat(1024));
    await cutOff.promise;
  });

  it.each<[string, RequestListener]>([
    ['never answers', () => undefined],
    ['never ends its answer', (_req, res) => void res.write('a')],
    ['sends only 102 Processing', (_req, res) => res.writeProcessing()],
  ])('times out when the receiver %s', async (_name, answer) => {
    const { url } = await startReceiver(answer);
    const attempt = await createSender({ limitMs: 50 })(url);
    expect(attempt).toMatchObject({ error: 'no answer within 50 ms' });
    expect(attempt.statusCode).toBeUndefined();
  });

  it('times out when the name never resolves', async () => {
    const resolveName = () => new Promise<never>(() => undefined);
    const attempt = await createSender({ limitMs: 50, resolveName })('http://slow.example/');
    expect(attempt.error).toBe('no answer within 50 ms');
  });

  it('reports that the receiver closed the connection', async () => {
    const { url } = await startReceiver((req) => req.socket.destroy());
    expect(await createSender()(url)).toMatchObject({ error: 'the connection failed: ECONNRESET' });
  });

  it('reports an error when the receiver switches protocols', async () => {
    const { url } = await startReceiver((req) => {
      req.socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
      );
    });
    const attempt = await createSender()(url);
    expect(attempt.error).toBe('the connection failed');
    expect(attempt).not.toHaveProperty('statusCode');
  });

  it('reports a refused connection without naming an address', async () => {
    const { url, server } = await startReceiver(() => undefined);
    server.close();
    await once(server, 'close');
    const { error } = await createSender()(url);
    expect(error).toBe('the connection failed: ECONNREFUSED');
  });

  it('uses TLS for https, which a receiver of http does not understand', async () => {
    const { url, visits } = await startReceiver((_req, res) => res.end());
    const attempt = await createSender()(url.replace('http:', 'https:'));
    expect(attempt.error).toMatch(/^the connection failed: (EPROTO|ERR_SSL_\w+)$/);
    expect(visits).toEqual([]);
  });

  it('has the time that it took, and nothing that the answer does not have', async () => {
    const { url } = await startReceiver((_req, res) => res.end());
    const guard = createAddressGuard(loopback);
    const times = [5000, 5100, 5300];
    const lines: string[] = [];
    const log = pino({}, { write: (line) => void lines.push(line) });
    const now = () => times.shift() ?? Number.NaN;
    const send = createSendMessage({
      urlRules: { httpsOnly: false, guard },
      limitMs: 5000,
      now,
      log,
    });
    const attempt = await send({ id: 'msg_1', url, payload: '{}', secrets: [secret] });
    expect(attempt).toStrictEqual({ at: 5000, latencyMs: 300, statusCode: 200 });
    times.push(6000, 6070);
    const gone = url.replace(/:\d+/, ':1');
    expect(await send({ id: 'msg_1', url: gone, payload: '{}', secrets: [] })).toEqual({
      at: 6000,
      latencyMs: 70,
      error: 'the connection failed: ECONNREFUSED',
    });
    // Only a refusal of ours is logged here: the other outcomes are logged with the attempt.
    expect(lines).toEqual([]);
  });

  it('follows no redirect', async () => {
    const { url, visits } = await startReceiver((_req, res) => {
      res.writeHead(302, { location: '/elsewhere' }).end();
    });
    expect(await createSender()(url)).toMatchObject({ statusCode: 302 });
    expect(visits).toEqual(['/hook']);
  });

  it('returns the Retry-After of the answer', async () => {
    const { url } = await startReceiver((_req, res) => {
      res.writeHead(429, { 'retry-after': '120' }).end();
    });
    expect(await createSender()(url)).toMatchObject({ statusCode: 429, retryAfterMs: 120_000 });
  });
});

describe('the address guard, when connecting,', () => {
  const notPublic = {
    error: 'webhooks are delivered to public addresses only, and this host has none',
  };

  it.each(['127.0.0.1', '[::1]', '2130706433', '[::ffff:7f00:1]', '169.254.169.254'])(
    'refuses the literal address %s without opening a connection',
    async (host) => {
      const { port, visits } = await startReceiver((_req, res) => res.end());
      expect(await createSender({ allowed: [] })(`http://${host}:${port}/`)).toMatchObject(
        notPublic,
      );
      expect(visits).toEqual([]);
    },
  );

  it('refuses localhost', async () => {
    const { port, visits } = await startReceiver((_req, res) => res.end());
    expect(await createSender({ allowed: [] })(`http://localhost:${port}/`)).toMatchObject(
      notPublic,
    );
    expect(visits).toEqual([]);
  });

  it('refuses a name if one of its addresses is private', async () => {
    const resolveName = async () => [
      { address: '93.184.215.14', family: 4 },
      { address: '10.0.0.1', family: 4 },
    ];
    const send = createSender({ allowed: [], resolveName });
    expect(await send('http://two.example/')).toMatchObject(notPublic);
  });

  it('connects to the address it has checked, with one lookup per attempt', async () => {
    const { port, visits } = await startReceiver((_req, res) => res.end());
    const answers = ['127.0.0.1', '127.0.0.2'];
    const asked: string[] = [];
    const resolveName = async (hostname: string) => {
      asked.push(hostname);
      return [{ address: answers[asked.length - 1] ?? '', family: 4 }];
    };
    const send = createSender({ resolveName });
    expect(await send(`http://rebind.example:${port}/`)).toMatchObject({ statusCode: 200 });
    expect(asked).toEqual(['rebind.example']);
    // Now the name points to an address that is not allowed.
    expect(await send(`http://rebind.example:${port}/`)).toMatchObject(notPublic);
    expect(visits).toHaveLength(1);
  });

  const lookups: [string, ResolveName, string][] = [
    ['that is unknown', () => fail('ENOTFOUND'), 'DNS lookup failed: ENOTFOUND'],
    ['without an address', () => fail('ENODATA'), 'DNS lookup failed: ENODATA'],
    ['of a dead name server', () => fail('ETIMEOUT'), 'DNS lookup failed: ETIMEOUT'],
    ['of an internal host', async () => [internal], '10.0.0.1 is private'],
  ];
  const internal = { address: '10.0.0.1', family: 4 };
  const fail = (code: string) => Promise.reject(Object.assign(new Error('secret'), { code }));

  it.each(lookups)(
    'fails for a name %s with the same message and delay as for any other, and logs the reason',
    async (_name, resolveName, reason) => {
      const lines: string[] = [];
      const log = pino({}, { write: (line) => void lines.push(line) });
      const failAfterMs = 50;
      const send = createSender({ allowed: [], resolveName, failAfterMs, log });
      const { error, latencyMs } = await send('http://name.example/');
      expect({ error }).toEqual(notPublic);
      // The two clocks round differently.
      expect(latencyMs).toBeGreaterThanOrEqual(failAfterMs - 2);
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({
        msg: 'webhook not sent',
        deliveryId: 'msg_1',
        reason,
      });
      expect(lines[0]).not.toContain('name.example');
    },
  );

  it('refuses plain http in production', async () => {
    const urlRules = { httpsOnly: true, guard: createAddressGuard(loopback) };
    const send = createSendMessage({ urlRules, limitMs: 1000, now: Date.now, log: silent });
    const { url, visits } = await startReceiver((_req, res) => res.end());
    const attempt = await send({ id: 'msg_1', url, payload: '{}', secrets: [secret] });
    expect(attempt.error).toMatch(/https:/);
    expect(visits).toEqual([]);
  });
});

function withResolvers<T>() {
  let resolve!: (value: Awaited<T> | PromiseLike<Awaited<T>>) => void;
  const promise = new Promise<Awaited<T>>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');

  it.each([
    ['120', 120_000],
    ['0', 0],
    ['999999999', 999_999_999_000],
    ['a1', undefined],
    ['1a', undefined],
    ['2026-01-01', undefined],
    ['Thu, 01 Jan 2026 00:02:00 GMT', 120_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    [undefined, undefined],
    ['soon', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['9999999999', undefined],
    ['Thu, 99 Jan 2026 00:02:00 GMT', undefined],
    ['on Thu, 01 Jan 2026 00:02:00 GMT', undefined],
    ['Thu, 01 Jan 2026 00:02:00 GMT+0100', undefined],
  ])('%s is %s ms', (header, expected) => {
    expect(parseRetryAfter(header, now)).toBe(expected);
  });
});
