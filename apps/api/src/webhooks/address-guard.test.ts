import { describe, expect, it } from 'vitest';
import { readApiConfig } from '../gateway/config.js';
import { createAddressGuard, parseAddressRanges } from './address-guard.js';
import { requireWebhookUrl } from './webhook-url.js';

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

  it.each([
    'no url',
    '/relative',
    'ftp://example.com/',
    'file:///etc/passwd',
    'https://user:password@example.com/',
    'https://user@example.com/',
    `https://example.com/${'a'.repeat(2048)}`,
  ])('is refused if it is malformed, has credentials or another scheme: %s', (url) => {
    expect(() => requireWebhookUrl(url, rules)).toThrow(refusal);
  });

  it('must be https in production, and loses its fragment', () => {
    const production = { httpsOnly: true, guard };
    expect(() => requireWebhookUrl('http://example.com/', production)).toThrow(/https:/);
    expect(requireWebhookUrl('https://example.com/#part', production).href).toBe(
      'https://example.com/',
    );
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

  it('stops startup if it is invalid, and the message names the wrong entry', () => {
    const env = { LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '10.0.0.0/8,db' };
    expect(() => readApiConfig(env)).toThrow(/ALLOWED_ADDRESSES: "db" is neither/);
  });
});
