import { LivegateError } from '@livegate/core';

/**
 * Base64 as clients write it: with or without padding, line breaks or a `data:` prefix.
 *
 * Buffer skips over what is not base64 and so cannot tell; hence the look at the characters.
 */
export function decodeBase64(text: unknown): Uint8Array {
  if (typeof text !== 'string') throw new LivegateError('invalid_base64');
  const encoded = text.slice(dataPrefixLength(text)).replaceAll(/\s/g, '');
  const digits = encoded.replace(/={0,2}$/, '');
  if (/[^A-Za-z0-9+/]/.test(digits) || digits.length % 4 === 1) {
    throw new LivegateError('invalid_base64');
  }
  return Buffer.from(digits, 'base64');
}

function dataPrefixLength(text: string): number {
  return /^data:[\w/+.-]*;base64,/.exec(text)?.[0].length ?? 0;
}
