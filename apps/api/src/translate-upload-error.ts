import { LivegateError, type ErrorCode } from '@livegate/core';
import { MulterError } from 'multer';

/** From what multer, busboy, body-parser and zlib throw to the codes of the contract. */
export function translateUploadError(
  error: unknown,
  otherwise: 'invalid_json' | 'invalid_multipart',
): LivegateError {
  if (error instanceof LivegateError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new LivegateError(codeOf(error) ?? otherwise, { detail, cause: error });
}

function codeOf(error: unknown): ErrorCode | undefined {
  if (error instanceof MulterError && error.code === 'LIMIT_FILE_SIZE') return 'image_too_large';
  // body-parser says what happened in `type`; busboy and zlib throw plain errors.
  return error instanceof Error && 'type' in error ? bodyParserCodes.get(error.type) : undefined;
}

const bodyParserCodes = new Map<unknown, ErrorCode>([
  ['charset.unsupported', 'unsupported_media_type'],
  ['encoding.unsupported', 'unsupported_media_type'],
  ['entity.too.large', 'image_too_large'],
]);
