import { LivegateError } from '@livegate/core';

/**
 * Base64 or base64url as clients write it: with or without padding, line breaks, surrounding white
 * space, a byte order mark or a `data:` prefix.
 *
 * Buffer skips over what is not base64 and so cannot tell; hence the look at the characters.
 */
export function decodeBase64(text: unknown): Uint8Array {
  if (typeof text !== 'string') throw new LivegateError('invalid_base64');
  const encoded = text.slice(prefixLength(text));
  if (!isBase64(encoded)) throw new LivegateError('invalid_base64');
  return Buffer.from(encoded, 'base64');
}

/** To a regular expression, a byte order mark is white space. */
function prefixLength(text: string): number {
  return /^\s*(?:data:[^,]{0,200};base64,)?/i.exec(text)?.[0].length ?? 0;
}

/** Never takes the spaces out first: where every other one of 14 MB is one, that takes a second. */
function isBase64(text: string): boolean {
  if (/[^A-Za-z0-9+/=_\-\t\n\v\f\r ]/.test(text)) return false;
  const padding = text.indexOf('=');
  const digits = padding === -1 ? text : text.slice(0, padding);
  // At most two, and nothing but white space among and after them.
  if (/[^=\s]|=\s*=\s*=/.test(text.slice(digits.length))) return false;
  return (digits.length - countSpaces(digits)) % 4 !== 1;
}

function countSpaces(text: string): number {
  const first = text.search(/\s/);
  if (first === -1) return 0;
  const plus = 0x2b;
  let spaces = 0;
  // All that is left beside digits, so that no other character comes before "+".
  for (let at = first; at < text.length; at += 1) if (text.charCodeAt(at) < plus) spaces += 1;
  return spaces;
}
