import { LivegateError, type ErrorCode } from '@livegate/core';
import { MulterError } from 'multer';

/** From what multer, busboy and body-parser throw to the codes of the contract. */
export function translateUploadError(error: unknown): LivegateError {
  const detail = error instanceof Error ? error.message : String(error);
  return new LivegateError(codeOf(error), { detail, cause: error });
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof MulterError) {
    return error.code === 'LIMIT_FILE_SIZE' ? 'image_too_large' : 'invalid_multipart';
  }
  // body-parser says what happened in `type`; busboy throws plain errors.
  if (!(error instanceof Error && 'type' in error)) return 'invalid_multipart';
  return bodyParserCodes.get(error.type) ?? 'invalid_json';
}

const bodyParserCodes = new Map<unknown, ErrorCode>([
  ['charset.unsupported', 'unsupported_media_type'],
  ['encoding.unsupported', 'unsupported_media_type'],
  ['entity.too.large', 'image_too_large'],
]);
