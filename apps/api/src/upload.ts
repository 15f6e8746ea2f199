import { LivegateError, requireImageBytes, type ImageLimits } from '@livegate/core';
import type { Request, Response } from 'express';
import { isCompressed, requireContentEncoding } from './content-encoding.js';
import { limitBody } from './limit-body.js';
import { createReadJson } from './read-json.js';
import { createReadMultipart } from './read-multipart.js';
import { bodyTooLarge, bytesInMemory, maxBodyBytes, type UploadForm } from './upload-memory.js';
import type { UploadPermits } from './upload-permits.js';

export interface Upload {
  image: Uint8Array;
  /** Where this check is to be announced, as the caller wrote it. */
  webhookUrl?: string;
}

export type ReadUpload = (req: Request, res: Response) => Promise<Upload>;

/**
 * Reads the one image of a request, whole, into memory: a multipart part or base64 in JSON, both named
 * `image`. File names and declared types are ignored, and so are other parts but `webhook_url`.
 * Afterwards the request itself keeps none of it: its caller may wait for much longer.
 *
 * Before the first byte of the body is read, the memory for it is set aside, as
 * `res.locals.uploadPermit`. Whoever calls this releases that, once nobody holds the image.
 *
 * Throws `missing_image`, `too_many_images`, `empty_image`, `image_too_large`, `invalid_base64`,
 * `invalid_json`, `invalid_multipart`, `invalid_request`, `unsupported_media_type` or `overloaded`.
 */
export function createReadUpload(limits: ImageLimits, uploads: UploadPermits): ReadUpload {
  const read = {
    multipart: createReadMultipart(limits),
    json: createReadJson(limits),
  };

  return async (req, res) => {
    const form = formOf(req);
    requireContentEncoding(req);
    const maxBytes = maxBodyBytes(form, limits.maxImageBytes);
    const tooLarge = bodyTooLarge(form, limits);
    if (Number(req.get('content-length')) > maxBytes) throw tooLarge;
    const permit = uploads.take(bytesInMemory(form, declaredBytes(req) ?? maxBytes));
    res.locals.uploadPermit = permit;
    // A client that asked is told only now that its body is wanted. HTTP/1.0 knows no such answer.
    if (req.get('expect') && req.httpVersion === '1.1') res.writeContinue();
    const limit = limitBody(req, maxBytes, tooLarge);
    try {
      const upload = await Promise.race([read[form](req, res), limit.exceeded]);
      requireImageBytes(upload.image, limits);
      permit.shrinkTo(upload.image.length);
      return upload;
    } finally {
      limit.lift();
    }
  };
}

function formOf(req: Request): UploadForm {
  const type = req.is(['json', 'multipart/form-data']);
  // `null` says that there is no body, whatever its type would be.
  if (type === null || !req.get('content-type')) throw new LivegateError('missing_image');
  if (type === false) throw new LivegateError('unsupported_media_type');
  return type === 'json' ? 'json' : 'multipart';
}

/** `undefined` for a body in chunks, and for a compressed one: it may grow to any length. */
function declaredBytes(req: Request): number | undefined {
  const length = req.get('content-length');
  return length !== undefined && !isCompressed(req) ? Number(length) : undefined;
}
