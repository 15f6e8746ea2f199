import {
  type ImageLimits,
  type Leases,
  LivegateError,
  requireImageBytes,
} from '@livegate/core/domain';
import type { Request } from 'express';
import { signalClose } from '../responses.js';
import { isCompressed, limitBody, type ReadUpload, requireContentEncoding } from './read-body.js';
import { createReadJson } from './read-json.js';
import { createReadMultipart } from './read-multipart.js';
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
    using limit = limitBody(req, { maxBytes, tooLong: bodyTooLarge(form, limits), closed });
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
function declaredBytes(req: Request): number | undefined {
  const length = req.get('content-length');
  return length !== undefined && !isCompressed(req) ? Number(length) : undefined;
}
