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

declare module 'express-serve-static-core' {
  interface Request {
    /** The text field `webhook_url` of a multipart body. */
    webhookUrl?: string;
  }
}

/** Room in a request body for what surrounds the image: part headers, stray text fields, JSON. */
const ENVELOPE_BYTES = 64 * 1024;
const MAX_PARTS = 50;

export interface Upload {
  image: Uint8Array;
  /** Where this check is to be announced, as the caller wrote it. */
  webhookUrl?: string;
}

export type ReadUpload = (req: Request, res: Response) => Promise<Upload>;

/**
 * Reads the one image of a request, whole, into memory: a multipart file part or base64 in JSON,
 * both named `image`. Names and declared types are ignored, and so are other parts but `webhook_url`.
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
    const upload = await Promise.race([
      isJson ? readJson(req, res) : readMultipart(req, res),
      stopBeyond(maxBytes, req).then(() => Promise.reject(imageTooLarge(limits))),
    ]);
    requireImageBytes(upload.image, limits);
    return upload;
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
      // Of the text fields one is ours; multer would refuse one without a name (Postman sends it).
      parser.removeAllListeners('field');
      parser.on('field', (name: string, value: string) => {
        if (name === 'webhook_url') req.webhookUrl = value;
      });
      req.pipe(parser);
    },
  }).any();

  return async (req, res) => {
    await runParser(parse, req, res);
    const [file, second] = req.files as Express.Multer.File[];
    if (!file) throw new LivegateError('missing_image');
    if (second) throw new LivegateError('too_many_images');
    return { image: file.buffer, ...(req.webhookUrl && { webhookUrl: req.webhookUrl }) };
  };
}

function createReadJson(maxBytes: number): ReadUpload {
  const parse = express.json({ limit: maxBytes });

  return async (req, res) => {
    await runParser(parse, req, res);
    const { image, webhook_url } = (req.body ?? {}) as { image?: unknown; webhook_url?: unknown };
    if (image === undefined || image === null) throw new LivegateError('missing_image');
    const webhookUrl = webhook_url === undefined ? {} : { webhookUrl: String(webhook_url) };
    return { image: decodeBase64(image), ...webhookUrl };
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
