import type { Writable } from 'node:stream';
import { imageTooLarge, LivegateError, requireImageBytes, type ImageLimits } from '@livegate/core';
import express, { type Request, type RequestHandler, type Response } from 'express';
import multer from 'multer';
import { decodeBase64 } from './decode-base64.js';
import { translateUploadError } from './translate-upload-error.js';

declare module 'multer' {
  interface Options {
    /** Documented since multer 2.5; its published types do not know it yet. */
    streamHandler?(req: Request, parser: Writable): void;
  }
}

/** Room in a request body for what surrounds the image: part headers, stray text fields, JSON. */
const ENVELOPE_BYTES = 64 * 1024;
const MAX_PARTS = 50;

export type ReadUpload = (req: Request, res: Response) => Promise<Uint8Array>;

/**
 * Reads the one image of a request, whole, into memory: a multipart file part or base64 in JSON,
 * both named `image`. Names and declared types are ignored, and so are other parts.
 *
 * Throws `missing_image`, `too_many_images`, `empty_image`, `image_too_large`, `invalid_base64`,
 * `invalid_json`, `invalid_multipart` or `unsupported_media_type`.
 */
export function createReadUpload(limits: ImageLimits): ReadUpload {
  const maxMultipartBytes = limits.maxImageBytes + ENVELOPE_BYTES;
  const maxJsonBytes = Math.ceil(limits.maxImageBytes / 3) * 4 + ENVELOPE_BYTES;
  const readMultipart = createReadMultipart(limits.maxImageBytes);
  const readJson = createReadJson(maxJsonBytes);

  return async (req, res) => {
    const isJson = isJsonBody(req);
    const maxBytes = isJson ? maxJsonBytes : maxMultipartBytes;
    if (Number(req.get('content-length')) > maxBytes) throw imageTooLarge(limits);
    // A client that asked is told only now that its body is wanted.
    if (req.get('expect')) res.writeContinue();
    const image = await Promise.race([
      isJson ? readJson(req, res) : readMultipart(req, res),
      stopBeyond(maxBytes, req).then(() => Promise.reject(imageTooLarge(limits))),
    ]);
    requireImageBytes(image, limits);
    return image;
  };
}

function isJsonBody(req: Request): boolean {
  if (req.is('json')) return true;
  if (req.is('multipart/form-data')) return false;
  if (!req.get('content-type')) throw new LivegateError('missing_image');
  throw new LivegateError('unsupported_media_type');
}

function createReadMultipart(maxImageBytes: number): ReadUpload {
  const parse = multer({
    limits: { fileSize: maxImageBytes, parts: MAX_PARTS },
    fileFilter: (_req, file, keep) => keep(null, file.fieldname === 'image'),
    streamHandler(req, parser) {
      // Text fields are nobody's business here, not even one without a name (Postman sends it).
      parser.removeAllListeners('field');
      req.pipe(parser);
    },
  }).any();

  return async (req, res) => {
    await runParser(parse, req, res);
    const [file, second] = req.files as Express.Multer.File[];
    if (!file) throw new LivegateError('missing_image');
    if (second) throw new LivegateError('too_many_images');
    return file.buffer;
  };
}

function createReadJson(maxBytes: number): ReadUpload {
  const parse = express.json({ limit: maxBytes });

  return async (req, res) => {
    await runParser(parse, req, res);
    const { image } = (req.body ?? {}) as { image?: unknown };
    if (image === undefined || image === null) throw new LivegateError('missing_image');
    return decodeBase64(image);
  };
}

async function runParser(parse: RequestHandler, req: Request, res: Response): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    parse(req, res, (error?: unknown) => {
      if (error) reject(translateUploadError(error));
      else resolve();
    });
  });
}

/**
 * Resolves as soon as more than `maxBytes` have come, whatever the parser makes of them: its own
 * limits answer only after the last byte. The rest is let through unread, to nowhere.
 */
async function stopBeyond(maxBytes: number, req: Request): Promise<void> {
  let received = 0;
  await new Promise<void>((resolve) => {
    req.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received <= maxBytes) return;
      req.unpipe();
      req.removeAllListeners('data');
      req.resume();
      resolve();
    });
  });
}
