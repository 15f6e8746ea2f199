import { type ImageLimits, LivegateError } from '@livegate/core/domain';
import express, { type Request, type RequestHandler, type Response } from 'express';
import type { ReadUpload } from './read-body.js';
import { bodyTooLarge, maxBodyBytes } from './upload-permits.js';

/** Reads `{"image": "<base64>", "webhook_url": "…"}`, of which only `image` is required. */
export function createReadJson(limits: ImageLimits): ReadUpload {
  const limit = maxBodyBytes('json', limits.maxImageBytes);
  // As text, since express.json() would parse any structure, however long that blocks the process.
  const parse = express.text({ limit, type: () => true });

  return async (req, res) => {
    await runParser(parse, { req, res, tooLarge: () => bodyTooLarge('json', limits) });
    const text = String(req.body);
    req.body = undefined;
    const { image, webhook_url: webhookUrl } = readMembers(text);
    if (image === undefined || image === null) throw new LivegateError('missing_image');
    if (webhookUrl === undefined) return { image: decodeBase64(image), fields: {} };
    if (typeof webhookUrl !== 'string') {
      throw new LivegateError('invalid_request', { publicMessage: 'webhook_url must be a string' });
    }
    return { image: decodeBase64(image), fields: { webhook_url: webhookUrl } };
  };
}

interface ParserRun {
  req: Request;
  res: Response;
  /** Makes the error for a body longer than the parser's limit. */
  tooLarge: () => LivegateError;
}

/** Runs a body parser that is an Express middleware. */
async function runParser(parse: RequestHandler, run: ParserRun): Promise<void> {
  const { req, res, tooLarge } = run;
  try {
    await new Promise<void>((resolve, reject) => {
      parse(req, res, (error?: unknown) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    throw translateUploadError(error, tooLarge);
  }
}

/** Maps what body-parser and zlib throw to error codes of the contract. */
function translateUploadError(error: unknown, tooLarge: () => LivegateError): LivegateError {
  // body-parser gives the reason in `type`; zlib throws plain errors.
  const type = error instanceof Error && 'type' in error ? error.type : undefined;
  if (type === 'entity.too.large') return tooLarge();
  const code = type === 'charset.unsupported' ? 'unsupported_media_type' : 'invalid_json';
  const detail = error instanceof Error ? error.message : String(error);
  return new LivegateError(code, { detail, cause: error });
}

function readMembers(text: string): { image?: unknown; webhook_url?: unknown } {
  if (text === '') return {};
  const body = parseJsonBody(text);
  if (typeof body !== 'object' || body === null) throw new LivegateError('invalid_json');
  return body;
}

/** JSON of this length, not counting long strings, parses in about a millisecond. */
const MAX_STRUCTURE_CHARS = 64 * 1024;
const TOO_MUCH = `the request body has more than ${MAX_STRUCTURE_CHARS} characters beside the image`;
/** Strings of at least this length, such as the image, cost almost nothing per character. */
const LONG_STRING_CHARS = 1024;

/**
 * `JSON.parse` for bodies that are an image and little else: parsing 14 MB of brackets or keys would
 * block every other request for more than a second. Throws `invalid_json`.
 */
export function parseJsonBody(text: string): unknown {
  if (!hasLittleStructure(text))
    throw new LivegateError('invalid_json', { publicMessage: TOO_MUCH });
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new LivegateError('invalid_json', { cause });
  }
}

/** Finds strings without parsing. Wrong only after a syntax error, where `JSON.parse` stops anyway. */
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

/** The index after the closing quote of the string that starts at `start`. */
function findStringEnd(text: string, start: number): number {
  let quote = text.indexOf('"', start + 1);
  while (isEscaped(text, quote)) quote = text.indexOf('"', quote + 1);
  return indexOrEnd(text, quote === -1 ? -1 : quote + 1);
}

/** Whether an odd number of backslashes precedes the quote. */
function isEscaped(text: string, quote: number): boolean {
  let first = quote;
  while (text[first - 1] === '\\') first -= 1;
  return (quote - first) % 2 === 1;
}

function indexOrEnd(text: string, index: number): number {
  return index === -1 ? text.length : index;
}

/**
 * Base64 or base64url as clients write it: with or without padding, line breaks, surrounding white
 * space, a byte order mark or a `data:` prefix.
 *
 * `Buffer.from` silently skips invalid characters, so they are checked before.
 */
export function decodeBase64(text: unknown): Uint8Array {
  if (typeof text !== 'string') throw new LivegateError('invalid_base64');
  const encoded = text.slice(prefixLength(text));
  if (!isBase64(encoded)) throw new LivegateError('invalid_base64');
  return Buffer.from(encoded, 'base64');
}

/** `\s` also matches a byte order mark. */
function prefixLength(text: string): number {
  return /^\s*(?:data:[^,]{0,200};base64,)?/i.exec(text)?.[0].length ?? 0;
}

/** Does not remove white space first: with a space after each of 7 million digits, that takes a second. */
function isBase64(text: string): boolean {
  if (/[^A-Za-z0-9+/=_\-\t\n\v\f\r ]/.test(text)) return false;
  const padding = text.indexOf('=');
  const digits = padding === -1 ? text : text.slice(0, padding);
  // At most two "=", with only white space between and after them.
  if (/[^=\s]|=\s*=\s*=/.test(text.slice(digits.length))) return false;
  return (digits.length - countSpaces(digits)) % 4 !== 1;
}

function countSpaces(text: string): number {
  const first = text.search(/\s/);
  if (first === -1) return 0;
  const plus = 0x2b;
  let spaces = 0;
  // Only digits and white space are left, and only white space sorts before "+".
  for (let at = first; at < text.length; at += 1) if (text.charCodeAt(at) < plus) spaces += 1;
  return spaces;
}
