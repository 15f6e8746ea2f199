import {
  type ErrorCode,
  LivegateError,
  type QualityCode,
  qualityCodes,
} from '@livegate/core/domain';
import type { z } from 'zod';
import { ACCESS_DISALLOWED, type errorSchema } from './answer-schemas.js';

/** An error as an HTTP response. */
export interface PresentedError {
  status: number;
  headers: Record<string, string>;
  body: z.output<typeof errorSchema>;
}

/** Anything but a LivegateError is an internal error, answered without detail. */
export function presentError(thrown: unknown, requestId: string): PresentedError {
  const error = toLivegateError(thrown);
  const status = httpStatusOf(error.code);
  const retryAfter = error.retryAfterSeconds ?? retryAfterSeconds[error.code];
  return {
    status,
    headers: {
      ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
      ...(status === 401 && { 'WWW-Authenticate': 'Basic realm="livegate", charset="UTF-8"' }),
    },
    body: {
      status: 'failed',
      error_message: error.publicMessage,
      ...((status === 401 || status === 403) && { error: ACCESS_DISALLOWED }),
      error_code: error.code,
      request_id: requestId,
      http_status: status,
    },
  };
}

export function toLivegateError(thrown: unknown): LivegateError {
  if (thrown instanceof LivegateError) return thrown;
  // Express throws http-errors, for example for a path that cannot be decoded.
  const status = thrown instanceof Error && 'status' in thrown ? Number(thrown.status) : 500;
  const code = status >= 400 && status < 500 ? 'bad_request' : 'internal_error';
  return new LivegateError(code, { cause: thrown });
}

export function httpStatusOf(code: ErrorCode): number {
  return statuses[code];
}

const weakImages = Object.fromEntries(qualityCodes.map((code) => [code, 400])) as Record<
  QualityCode,
  number
>;

const statuses: Record<ErrorCode, number> = {
  ...weakImages,
  bad_request: 400,
  empty_image: 400,
  image_dimensions_exceeded: 400,
  invalid_base64: 400,
  invalid_idempotency_key: 400,
  invalid_image: 400,
  invalid_json: 400,
  invalid_multipart: 400,
  invalid_quality_policy: 400,
  invalid_request: 400,
  missing_image: 400,
  too_many_images: 400,
  webhook_secret_missing: 400,
  webhook_url_refused: 400,
  unauthorized: 401,
  forbidden: 403,
  page_token_refused: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  already_finished: 409,
  canceled: 409,
  session_busy: 409,
  session_exhausted: 409,
  session_finished: 409,
  too_many_endpoints: 409,
  session_expired: 410,
  image_too_large: 413,
  unsupported_image_type: 415,
  unsupported_media_type: 415,
  unsupported_expectation: 417,
  idempotency_key_reused: 422,
  rate_limited: 429,
  headers_too_large: 431,
  internal_error: 500,
  image_expired: 503,
  overloaded: 503,
  unavailable: 503,
  timeout: 504,
};

/** When to read an unfinished check again. */
export const RETRY_AFTER_SECONDS = 1;

/** In seconds, unless the error itself gives another value. */
const retryAfterSeconds: Partial<Record<ErrorCode, number>> = {
  image_expired: 1,
  overloaded: 1,
  rate_limited: 1,
  timeout: RETRY_AFTER_SECONDS,
  unavailable: 2,
};
