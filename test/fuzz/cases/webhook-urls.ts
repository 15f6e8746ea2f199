import { isIP } from 'node:net';
import * as fc from 'fast-check';
import { oddTexts } from './requests.js';

/** No other machine may be called from a test: addresses of this one, private ones, no names. */
export const webhookUrls = fc
  .record({
    scheme: fc.constantFrom(
      'http://',
      'https://',
      'HTTP://',
      'ftp://',
      'file://',
      'http:',
      '//',
      '',
    ),
    host: fc.constantFrom(
      '127.0.0.1',
      '127.1',
      '0x7f000001',
      '2130706433',
      '0177.0.0.1',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '169.254.169.254',
      '10.0.0.1',
      '0.0.0.0',
      'a@127.0.0.1',
      'a:b@[::1]',
      '[::1',
      '',
    ),
    rest: fc.oneof(fc.constantFrom('', '/', ':0/', ':65536/', ':1/x?y#z', '\\x'), oddTexts),
  })
  .map(({ scheme, host, rest }) => `${scheme}${host}${rest}`)
  .filter(isLocal);

function isLocal(text: string): boolean {
  if (!URL.canParse(text)) return true;
  return isIP(new URL(text).hostname.replaceAll(/[[\]]/g, '')) !== 0;
}
