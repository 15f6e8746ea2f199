import { Busboy, type BusboyInstance } from '@fastify/busboy';
import {
  type ImageHeader,
  imageKind,
  type ImageLimits,
  imageTooLarge,
  inspectHeader,
  type Leases,
  LivegateError,
  requireImageBytes,
} from '@livegate/core/domain';
import type { Request } from 'express';
import { fileTypeFromBuffer } from 'file-type';
import { MAX_WEBHOOK_URL_LENGTH } from '../../contract/webhooks.js';
import { signalClose } from '../responses.js';
import {
  createByteCollector,
  decompress,
  isCompressed,
  limitBody,
  type ReadUpload,
  requireContentEncoding,
  type Upload,
} from './read-body.js';
import { createReadJson } from './read-json.js';
import { bodyTooLarge, bytesInMemory, maxBodyBytes, type UploadForm } from './upload-permits.js';

/**
 * The memory that reading this request can take, judged by its headers. Throws `missing_image`,
 * `unsupported_media_type` or `image_too_large`.
 */
export function uploadBytes(req: Request, limits: ImageLimits): number {
  const form = formOf(req);
  requireContentEncoding(req);
  const maxBytes = maxBodyBytes(form, limits.maxImageBytes);
  if (Number(req.get('content-length')) > maxBytes) throw bodyTooLarge(form, limits);
  return bytesInMemory(form, declaredBytes(req) ?? maxBytes);
}

/**
 * Reads the image of a request into memory: a multipart part or base64 in JSON, both named `image`.
 * Ignores file names, declared types, and other parts except the text fields of these names. The request
 * does not refer to the image afterwards, since its caller may wait much longer. Reserve `uploadBytes`
 * before the call.
 *
 * Throws `missing_image`, `too_many_images`, `empty_image`, `image_too_large`, `invalid_base64`,
 * `invalid_json`, `invalid_multipart`, `invalid_request` or `unsupported_media_type`, and an AbortError
 * when the response ends before the body does.
 */
export function createReadUpload(
  limits: ImageLimits,
  leases: Leases,
  fieldNames: readonly string[] = ['webhook_url'],
): ReadUpload {
  const read = {
    multipart: createReadMultipart(limits, fieldNames),
    json: createReadJson(limits),
  };

  return async (req, res) => {
    const form = formOf(req);
    const closed = signalClose(res);
    closed.throwIfAborted();
    // A client that sent `Expect: 100-continue` sends its body only after this. HTTP/1.0 has no 100.
    if (req.get('expect') && req.httpVersion === '1.1') res.writeContinue();
    const maxBytes = maxBodyBytes(form, limits.maxImageBytes);
    const tooLong = () => bodyTooLarge(form, limits);
    using limit = limitBody(req, { maxBytes, tooLong, closed });
    const parser = leases.take('parser');
    const reading = Promise.race([read[form](req, res), limit.failed]);
    const upload = await reading.finally(parser.release);
    requireImageBytes(upload.image, limits);
    return upload;
  };
}

function formOf(req: Request): UploadForm {
  const type = req.is(['json', 'multipart/form-data']);
  // `null` means that the request has no body.
  if (type === null || !req.get('content-type')) throw new LivegateError('missing_image');
  if (type === false) throw new LivegateError('unsupported_media_type');
  return type === 'json' ? 'json' : 'multipart';
}

/** `undefined` for a chunked body, and for a compressed one, whose full length is unknown. */
export function declaredBytes(req: Request): number | undefined {
  const length = req.get('content-length');
  return length !== undefined && !isCompressed(req) ? Number(length) : undefined;
}

/** As in Go and Django. A part takes 10 µs to parse: 10 MB of tiny parts would take seconds. */
const MAX_PARTS = 1000;

/** Reads the part `image`, with or without a filename, and the text fields of these names. */
function createReadMultipart(limits: ImageLimits, fieldNames: readonly string[]): ReadUpload {
  const maxBytes = maxBodyBytes('multipart', limits.maxImageBytes);

  return async (req) => {
    const parser = createParser(req, limits.maxImageBytes, maxBytes);
    const body = decompress(req, maxBytes, () => bodyTooLarge('multipart', limits));
    const fail = (error: Error) => parser.destroy(error);
    const failIfCut = () => req.readableEnded || fail(new Error('the request body was cut off'));
    body.on('error', fail);
    req.on('close', failIfCut);
    try {
      const upload = collectParts(parser, mostImageBytes(req, limits), { limits, fieldNames });
      body.pipe(parser);
      return await upload;
    } catch (error) {
      throw error instanceof LivegateError ? error : invalidMultipart(error);
    } finally {
      // The request is kept while its caller waits, so it must not refer to the image any more. The rest
      // of its body is discarded.
      req.off('close', failIfCut).unpipe().resume();
      body.off('error', fail).unpipe();
    }
  };
}

/** Throws `invalid_multipart` for a type without a boundary. */
function createParser(req: Request, maxImageBytes: number, maxBytes: number): BusboyInstance {
  try {
    return new Busboy({
      // All parts are read as they arrive, so the parser does not have to wait for their readers. With
      // the default it waits forever after 64 KB of a part that it skips (@fastify/busboy 3.2.6).
      fileHwm: maxBytes,
      headers: { ...req.headers, 'content-type': req.get('content-type') ?? '' },
      limits: { fileSize: maxImageBytes, parts: MAX_PARTS, fieldSize: MAX_WEBHOOK_URL_LENGTH + 1 },
      // As a text field, the image would be decoded by its part's charset, which changes its bytes.
      isPartAFile: (name) => name === 'image',
    });
  } catch (cause) {
    throw invalidMultipart(cause);
  }
}

/** The image is no longer than its body, unless the body is compressed. */
function mostImageBytes(req: Request, { maxImageBytes }: ImageLimits): number {
  const length = req.get('content-length');
  if (length === undefined || isCompressed(req)) return maxImageBytes;
  return Math.min(Number(length), maxImageBytes);
}

function collectParts(
  parser: BusboyInstance,
  maxBytes: number,
  { limits, fieldNames }: { limits: ImageLimits; fieldNames: readonly string[] },
): Promise<Upload> {
  return new Promise((resolve, reject) => {
    let image: ReturnType<typeof createByteCollector> | undefined;
    const fields: Record<string, string> = {};
    parser.on('file', (_name, file) => {
      // The parser fails as well, with the reason.
      file.on('error', () => undefined);
      // Rejected at its start, a second image takes no memory.
      if (image) return reject(new LivegateError('too_many_images'));
      image = createByteCollector(maxBytes);
      file.on('data', image.add);
      file.on('limit', () => reject(imageTooLarge(limits)));
    });
    parser.on('field', (name, value) => {
      if (fieldNames.includes(name) && value) fields[name] = value;
    });
    parser.on('partsLimit', () => reject(tooManyParts()));
    parser.on('error', reject);
    parser.on('finish', () => {
      if (!image) return reject(new LivegateError('missing_image'));
      resolve({ image: image.take(), fields });
    });
  });
}

function tooManyParts(): LivegateError {
  return new LivegateError('invalid_multipart', {
    publicMessage: `the request body has more than ${MAX_PARTS} parts`,
  });
}

function invalidMultipart(cause: unknown): LivegateError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new LivegateError('invalid_multipart', { detail, cause });
}

/**
 * Decides from the bytes, without decoding them, whether the image may be decoded.
 *
 * Throws `invalid_image`, `unsupported_image_type` or `image_dimensions_exceeded`.
 */
export async function inspectImage(
  bytes: Uint8Array,
  maxImagePixels: number,
): Promise<ImageHeader> {
  if (!imageKind(bytes)) throw refuseKind(await nameKind(bytes));
  return inspectHeader(bytes, maxImagePixels);
}

/** Kinds of file that callers send by mistake; the refusal names them. */
const namedKinds = /^image\/|^application\/pdf$/;
/** Reported for files that merely contain a JPEG or PNG, for example behind an ID3 tag. */
const acceptedKinds = /^image\/(?:jpeg|a?png)$/;

function refuseKind(kind: string): LivegateError {
  if (!namedKinds.test(kind) || acceptedKinds.test(kind)) {
    return new LivegateError('invalid_image');
  }
  return new LivegateError('unsupported_image_type', {
    publicMessage: `only JPEG and PNG images are supported, this is ${kind}`,
  });
}

/** Reads only the first bytes, so that `file-type` does not search through an archive. */
async function nameKind(bytes: Uint8Array): Promise<string> {
  const start = bytes.subarray(0, START_BYTES);
  if (isSvg(start)) return 'image/svg+xml';
  const known = await fileTypeFromBuffer(start);
  return known?.mime ?? (isTiff(start) ? 'image/tiff' : '');
}

/** The sample size that `file-type` recommends; only a few kinds need more. */
const START_BYTES = 4100;

/** SVG has no magic bytes: it is markup whose root element is near the start. */
function isSvg(start: Uint8Array): boolean {
  const text = decodeText(start).trimStart();
  return text.startsWith('<') && /<svg[\s>]/.test(text);
}

/** Decodes by the byte order mark, and drops the mark. */
function decodeText(start: Uint8Array): string {
  const mark = Buffer.from(start.subarray(0, 2)).toString('hex');
  const encoding = { fffe: 'utf-16le', feff: 'utf-16be' }[mark] ?? 'utf-8';
  return new TextDecoder(encoding).decode(start);
}

/** `file-type` needs a TIFF's directory to name it, which is usually at the end of the file. */
function isTiff(start: Uint8Array): boolean {
  return /^(?:49492a00|4d4d002a)/.test(Buffer.from(start.subarray(0, 4)).toString('hex'));
}
