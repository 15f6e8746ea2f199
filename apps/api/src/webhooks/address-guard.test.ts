import { describe, expect, it } from 'vitest';
import { rotateSecrets } from '@livegate/core/domain';
import { createFakeWebhookStore, exampleEndpoint } from '@livegate/testing';
import { developmentCredential } from '../credentials/credential-book.js';
import { createAddressGuard, parseAddressRanges } from './address-guard.js';
import { createAcceptWebhookUrl, createHasEndpoints, requireWebhookUrl } from './webhook-url.js';

const guard = createAddressGuard([]);
const rules = { httpsOnly: false, guard };
const refusal = expect.objectContaining({ code: 'webhook_url_refused' });

describe('a webhook URL', () => {
  it.each([
    ['loopback', '127.0.0.1'],
    ['all of loopback', '127.255.255.254'],
    ['this host', '0.0.0.0'],
    ['private 10/8', '10.0.0.1'],
    ['private 172.16/12', '172.31.255.255'],
    ['private 192.168/16', '192.168.1.1'],
    ['link-local', '169.254.1.1'],
    ['cloud metadata', '169.254.169.254'],
    ['Azure metadata', '168.63.129.16'],
    ['Alibaba metadata', '100.100.100.200'],
    ['carrier-grade NAT', '100.64.0.1'],
    ['benchmarking', '198.18.0.1'],
    ['documentation', '203.0.113.1'],
    ['multicast', '224.0.0.1'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['decimal', '2130706433'],
    ['octal', '0177.0.0.1'],
    ['hex', '0x7f.1'],
    ['hex in one', '0x7f000001'],
    ['short', '127.1'],
    ['full-width digits', '１２７.0.0.1'],
    ['percent-encoded', '%31%32%37.0.0.1'],
    ['with a dot at its end', '127.0.0.1.'],
    ['IPv6 loopback', '[::1]'],
    ['IPv6 unspecified', '[::]'],
    ['mapped', '[::ffff:127.0.0.1]'],
    ['mapped, in hex', '[::ffff:7f00:1]'],
    ['mapped, of a public address', '[::ffff:8.8.8.8]'],
    ['mapped, written out', '[0:0:0:0:0:ffff:a9fe:a9fe]'],
    ['IPv4-compatible', '[::127.0.0.1]'],
    ['6to4 of a private address', '[2002:7f00:1::]'],
    ['NAT64 of a private address', '[64:ff9b::7f00:1]'],
    ['local NAT64', '[64:ff9b:1::1]'],
    ['Teredo', '[2001:0:7f00:1::]'],
    ['unique local', '[fd00::1]'],
    ['AWS metadata in IPv6', '[fd00:ec2::254]'],
    ['IPv6 link-local', '[fe80::1]'],
    ['site-local', '[fec0::1]'],
    ['IPv6 multicast', '[ff02::1]'],
    ['IPv6 documentation', '[2001:db8::1]'],
    ['IPv6 that is not assigned', '[4000::1]'],
  ])('is refused if its host is a literal address that is not public: %s, %s', (_name, host) => {
    expect(() => requireWebhookUrl(`http://${host}:8080/hook`, rules)).toThrow(refusal);
  });

  it.each(['http://8.8.8.8/', 'https://[2606:4700::1111]:8443/a?b=c', 'https://example.com/'])(
    'is accepted if its host is public: %s',
    (url) => {
      expect(requireWebhookUrl(url, rules).href).toBe(url);
    },
  );

  const longest = `https://example.com/${'a'.repeat(2028)}`;

  it.each([
    ['no url', 'it is not a URL'],
    ['/relative', 'it is not a URL'],
    [`${longest}a`, 'it is not a URL'],
    ['ftp://example.com/', 'it must begin with https://'],
    ['file:///etc/passwd', 'it must begin with https://'],
    ['https://user:password@example.com/', 'it must not contain credentials'],
    ['https://user@example.com/', 'it must not contain credentials'],
    ['https://:password@example.com/', 'it must not contain credentials'],
  ])('is refused if it is malformed, has credentials or another scheme: %s', (url, why) => {
    const publicMessage = `webhooks are not delivered to this URL: ${why}`;
    expect(() => requireWebhookUrl(url, rules)).toThrow(
      expect.objectContaining({ code: 'webhook_url_refused', publicMessage }),
    );
  });

  it('may have 2048 characters', () => {
    expect(requireWebhookUrl(longest, rules).href).toBe(longest);
  });

  it('must be https in production, and loses its fragment', () => {
    const production = { httpsOnly: true, guard };
    expect(() => requireWebhookUrl('http://example.com/', production)).toThrow(/https:/);
    expect(requireWebhookUrl('https://example.com/#part', production).href).toBe(
      'https://example.com/',
    );
  });
});

describe('the webhook_url of a request', () => {
  const permitted = { ...developmentCredential, permissions: ['webhook-url' as const] };

  it('needs the permission, then a URL that is accepted, then a secret', async () => {
    const store = createFakeWebhookStore();
    const accept = createAcceptWebhookUrl(rules, store);
    const url = 'https://Example.com/hook#part';
    await expect(accept('no url', { ...permitted, permissions: [] })).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(accept('no url', permitted)).rejects.toMatchObject({
      code: 'webhook_url_refused',
    });
    await expect(accept(url, permitted)).rejects.toMatchObject({ code: 'webhook_secret_missing' });
    await store.updateTenantSecrets(permitted.tenant, () => rotateSecrets([], 0, 0));
    expect(await accept(url, permitted)).toBe('https://example.com/hook');
  });
});

it('a tenant has endpoints while one of them is enabled', async () => {
  const store = createFakeWebhookStore();
  const hasEndpoints = createHasEndpoints(store);
  expect(await hasEndpoints('acme')).toBe(false);
  await store.addEndpoint(exampleEndpoint({ id: 'whe_off', enabled: false }), 16);
  expect(await hasEndpoints('acme')).toBe(false);
  await store.addEndpoint(exampleEndpoint(), 16);
  expect([await hasEndpoints('acme'), await hasEndpoints('globex')]).toEqual([true, false]);
});

describe('the lookup of a connection', () => {
  const addresses = [
    { address: '8.8.8.8', family: 4 },
    { address: '2606:4700::1111', family: 6 },
  ];
  const lookUp = (options: { all?: boolean }, found = addresses) => {
    const { lookup } = createAddressGuard([], { resolveName: async () => found, failAfterMs: 0 });
    return new Promise<unknown[]>((resolve) => {
      lookup('receiver.example', options, (...answer) => resolve(answer));
    });
  };

  it('gets all addresses, or the first with its family', async () => {
    expect(await lookUp({ all: true })).toEqual([null, addresses]);
    expect(await lookUp({ all: false })).toEqual([null, '8.8.8.8', 4]);
    expect(await lookUp({})).toEqual([null, '8.8.8.8', 4]);
  });

  it('gets none if one of them is not public', async () => {
    const [error, found] = await lookUp({}, [...addresses, { address: '::1', family: 6 }]);
    expect(error).toMatchObject({ code: 'webhook_url_refused', detail: '::1 is loopback' });
    expect(found).toBeUndefined();
  });
});

describe('LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES', () => {
  it('allows the listed private addresses, and not the ones next to them', () => {
    const lenient = createAddressGuard(parseAddressRanges('10.1.2.0/24, 127.0.0.1, fd00::/8'));
    for (const address of ['10.1.2.3', '127.0.0.1', 'fd12::1']) lenient.requireAddress(address);
    for (const address of ['10.1.3.3', '127.0.0.2', '::1', '::ffff:127.0.0.1']) {
      expect(() => lenient.requireAddress(address)).toThrow(refusal);
    }
  });

  it.each(['localhost', '10.0.0.0/33', '127.1', '10.0.0.1,', ''])('cannot be "%s"', (list) => {
    expect(() => parseAddressRanges(list)).toThrow(/neither/);
  });
});
