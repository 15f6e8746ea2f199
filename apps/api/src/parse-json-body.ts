import { LivegateError } from '@livegate/core';

/** JSON of this length without its long strings parses in about a millisecond. */
const MAX_STRUCTURE_CHARS = 64 * 1024;
/** A string from this length on costs next to nothing per character, as an image does. */
const LONG_STRING_CHARS = 1024;

/**
 * `JSON.parse` for bodies that are one image and little else: 14 MB of brackets or keys instead
 * would keep every other request waiting for more than a second. Throws `invalid_json`.
 */
export function parseJsonBody(text: string): unknown {
  if (!hasLittleStructure(text)) throw new LivegateError('invalid_json');
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new LivegateError('invalid_json', { cause });
  }
}

/** Up to its first syntax error, where parsing ends, a text has its strings where this sees them. */
function hasLittleStructure(text: string): boolean {
  let structureChars = 0;
  let at = 0;
  while (at < text.length && structureChars <= MAX_STRUCTURE_CHARS) {
    const start = indexOrEnd(text, text.indexOf('"', at));
    const end = findStringEnd(text, start);
    structureChars += start - at;
    if (end - start < LONG_STRING_CHARS) structureChars += end - start;
    at = end;
  }
  return structureChars <= MAX_STRUCTURE_CHARS;
}

/** Behind the closing quote of the string that starts here. */
function findStringEnd(text: string, start: number): number {
  let quote = text.indexOf('"', start + 1);
  while (isEscaped(text, quote)) quote = text.indexOf('"', quote + 1);
  return indexOrEnd(text, quote === -1 ? -1 : quote + 1);
}

/** Whether an odd number of backslashes precedes. */
function isEscaped(text: string, quote: number): boolean {
  let first = quote;
  while (text[first - 1] === '\\') first -= 1;
  return (quote - first) % 2 === 1;
}

function indexOrEnd(text: string, index: number): number {
  return index === -1 ? text.length : index;
}
