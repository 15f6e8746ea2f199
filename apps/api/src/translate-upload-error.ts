import { LivegateError } from '@livegate/core';

/** From what body-parser and zlib throw to the codes of the contract. */
export function translateUploadError(error: unknown, tooLarge: LivegateError): LivegateError {
  // body-parser says what happened in `type`; zlib throws plain errors.
  const type = error instanceof Error && 'type' in error ? error.type : undefined;
  if (type === 'entity.too.large') return tooLarge;
  const code = type === 'charset.unsupported' ? 'unsupported_media_type' : 'invalid_json';
  const detail = error instanceof Error ? error.message : String(error);
  return new LivegateError(code, { detail, cause: error });
}
