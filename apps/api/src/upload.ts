import { imageTooLarge, LivegateError, requireImageBytes, type ImageLimits } from '@livegate/core';
import type { Request, Response } from 'express';
import { limitBody } from './limit-body.js';
import { createReadJson } from './read-json.js';
import { createReadMultipart } from './read-multipart.js';

/** Room in a request body for what surrounds the image: part headers, stray text fields, JSON. */
const ENVELOPE_BYTES = 64 * 1024;

export interface Upload {
  image: Uint8Array;
  /** Where this check is to be announced, as the caller wrote it. */
  webhookUrl?: string;
}

export type ReadUpload = (req: Request, res: Response) => Promise<Upload>;

/**
 * Reads the one image of a request, whole, into memory: a multipart file part or base64 in JSON,
 * both named `image`. Names and declared types are ignored, and so are other parts but `webhook_url`.
 * Afterwards the request itself keeps none of it: its caller may wait for much longer.
 *
 * Throws `missing_image`, `too_many_images`, `empty_image`, `image_too_large`, `invalid_base64`,
 * `invalid_json`, `invalid_multipart`, `invalid_request` or `unsupported_media_type`.
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
    // A client that asked is told only now that its body is wanted. HTTP/1.0 knows no such answer.
    if (req.get('expect') && req.httpVersion === '1.1') res.writeContinue();
    const limit = limitBody(req, maxBytes, imageTooLarge(limits));
    try {
      const read = isJson ? readJson(req, res) : readMultipart(req, res);
      const upload = await Promise.race([read, limit.exceeded]);
      requireImageBytes(upload.image, limits);
      return upload;
    } finally {
      limit.lift();
    }
  };
}

function isJsonBody(req: Request): boolean {
  const type = req.is(['json', 'multipart/form-data']);
  // `null` says that there is no body, whatever its type would be.
  if (type === null || !req.get('content-type')) throw new LivegateError('missing_image');
  if (type === false) throw new LivegateError('unsupported_media_type');
  return type === 'json';
}
