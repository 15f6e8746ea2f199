import { sendRaw } from '@livegate/testing/gateway/raw-http';
import { serve } from '@livegate/testing/gateway/serve';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { basePathOf, baseUrlOf, parsePublicUrl, parseTrustedProxies } from './base-url.js';

const host = 'Host: gateway.internal:8080';

/** The base URL and the base path of a request with these header lines. */
async function basesOf(
  lines: string[],
  { trusted = 'loopback', publicUrl }: { trusted?: string | false; publicUrl?: string } = {},
) {
  const app = express().set('trust proxy', trusted);
  app.get('/', (req, res) => {
    res.json([baseUrlOf(req, publicUrl), basePathOf(req, publicUrl)]);
  });
  const request = ['GET / HTTP/1.0', ...lines].join('\r\n');
  return (await sendRaw(await serve(app), [`${request}\r\n\r\n`])).body;
}

describe('the base URL of a request', () => {
  it.each<[string, string[], string, string]>([
    ['is its host', [], 'http://gateway.internal:8080', ''],
    ['has the protocol of a proxy', ['Proto: HTTPS'], 'https://gateway.internal:8080', ''],
    ['has the host of a proxy', ['Host: A.example:444'], 'http://a.example:444', ''],
    ['may be an IPv6 address', ['Host: [2001:DB8::1]'], 'http://[2001:db8::1]', ''],
    ['has a port of five digits at most', ['Host: [::1]:65535'], 'http://[::1]:65535', ''],
    [
      'has a prefix',
      ['Host: a', 'Prefix: /a-b_c/%20~.d//'],
      'http://a/a-b_c/%20~.d',
      '/a-b_c/%20~.d',
    ],
    [
      'has the prefixes of all proxies',
      ['Host: a', 'Prefix: /a/b, /c/'],
      'http://a/a/b/c',
      '/a/b/c',
    ],
    ['has a hidden folder', ['Host: a', 'Prefix: /.a/..b'], 'http://a/.a/..b', '/.a/..b'],
    [
      'has 200 characters',
      ['Host: a', `Prefix: /${'a'.repeat(199)}`],
      `http://a/${'a'.repeat(199)}`,
      `/${'a'.repeat(199)}`,
    ],
  ])('%s', async (_name, forwarded, url, path) => {
    const lines = forwarded.map((line) => `X-Forwarded-${line}`);
    expect(await basesOf([host, ...lines])).toEqual([url, path]);
  });

  it.each([
    'Proto: javascript',
    'Proto: https://evil.example/?',
    'Proto: wss',
    'Host: evil.example/path',
    'Host: user:password@evil.example',
    'Host: evil.example?query',
    'Host: evil.example#',
    'Host: evil.example\\path',
    'Host: evil example',
    'Host: "evil"',
    'Host: <script>',
    'Host: evil.example:99999',
    'Host: evil.example:port',
    'Host: 1.2.3.999',
    'Host: [::1',
    'Host: \u00e9.example',
    `Host: ${'a'.repeat(300)}`,
    'Host: undefined:undefined',
  ])('is empty if the trusted proxy forwards no valid URL: %s', async (line) => {
    expect(await basesOf([host, `X-Forwarded-${line}`])).toEqual(['', '']);
  });

  it.each([
    '//evil.example',
    'evil.example',
    '/a/../b',
    '/.',
    '/a/..',
    '/a?b',
    '/a"><script>',
    'https://evil.example',
    `/${'a'.repeat(200)}`,
    '/',
  ])('has no forwarded prefix that is not a path: %s', async (prefix) => {
    const bases = await basesOf([host, `X-Forwarded-Prefix: ${prefix}`]);
    expect(bases).toEqual(['http://gateway.internal:8080', '']);
  });

  it('ignores what is forwarded by a proxy that is not trusted', async () => {
    const lines = [host, 'X-Forwarded-Host: a.example', 'X-Forwarded-Prefix: /faces'];
    for (const trusted of [false, '10.0.0.0/8'] as const) {
      expect(await basesOf(lines, { trusted })).toEqual(['http://gateway.internal:8080', '']);
    }
  });

  it('is empty without a valid Host, so that links are relative', async () => {
    expect(await basesOf([])).toEqual(['', '']);
    expect(await basesOf(['Host: a/b@c'])).toEqual(['', '']);
    expect(await basesOf(['X-Forwarded-Prefix: /faces'])).toEqual(['/faces', '/faces']);
  });

  it('is the configured one, whatever the request and its proxies say', async () => {
    const lines = [host, 'X-Forwarded-Prefix: /faces'];
    for (const path of ['', '/api']) {
      const publicUrl = `https://faces.example${path}`;
      expect(await basesOf(lines, { publicUrl })).toEqual([publicUrl, path]);
    }
  });
});

describe('the configured URL', () => {
  it.each([
    ['https://Liveness.Example/', 'https://liveness.example'],
    ['http://liveness.example:8080/faces//', 'http://liveness.example:8080/faces'],
  ])('%s is read as %s', (text, url) => {
    expect(parsePublicUrl(text)).toBe(url);
  });

  it.each(['liveness.example', 'ftp://a', 'https://u:p@a', 'https://a/?b', 'https://a/#b'])(
    'is not %s',
    (text) => {
      expect(() => parsePublicUrl(text)).toThrow('expected http:// or https://, a host');
    },
  );
});

describe('the trusted proxies', () => {
  it.each([
    ['loopback', 'loopback'],
    ['uniquelocal, 10.0.0.0/8', 'uniquelocal, 10.0.0.0/8'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['12', 12],
  ])('%s are read as %j', (text, proxies) => {
    expect(parseTrustedProxies(text)).toBe(proxies);
  });

  it.each(['true', 'all', '0', '-1', '1.5', '10.0.0.0/33', 'proxy.example', 'loopback,'])(
    'are not %s',
    (text) => {
      expect(() => parseTrustedProxies(text)).toThrow(
        `expected loopback, linklocal, uniquelocal, addresses and CIDR ranges, separated by commas, or the number of proxies, not "${text}"`,
      );
    },
  );
});
