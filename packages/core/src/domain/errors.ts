import { qualityHints } from './quality.js';

/**
 * Every way a request can be refused or fail: the stable `error_code` and the public
 * `error_message`.
 *
 * Both are part of the HTTP contract. `invalid_base64`, `invalid_image` and `internal_error` keep
 * the exact words of the API that Livegate replaces, because its clients compare them. Only an
 * image that may be valid, but is not decoded, gets a message of its own under `invalid_image`.
 */
export const errorMessages = {
  ...qualityHints,
  already_finished: 'the check has already ended',
  bad_request: 'the request is not valid HTTP',
  canceled: 'the check was canceled',
  empty_image: 'the image is empty',
  forbidden: 'these credentials do not permit this request',
  headers_too_large: 'the request headers are too large',
  idempotency_key_reused: 'this Idempotency-Key was used with another image',
  image_dimensions_exceeded: 'the image has too many pixels',
  image_expired: 'the image expired before it could be checked, send it again',
  image_too_large: 'the image has too many bytes',
  internal_error: 'internal server error',
  invalid_base64: 'enter valid base64 for captured image',
  invalid_idempotency_key: 'an Idempotency-Key has 1 to 255 visible ASCII characters',
  invalid_image: 'enter valid format image for captured image',
  invalid_json: 'the request body is not valid JSON',
  invalid_multipart: 'the request body is not valid multipart/form-data',
  invalid_quality_policy: 'Livegate-Quality is "header", "report" or "enforce"',
  invalid_request: 'the request body is not as documented',
  method_not_allowed: 'this path does not support this method',
  missing_image: 'send one image, as a file part or a JSON member named "image"',
  not_found: 'there is nothing at this path',
  overloaded: 'too many requests are waiting, try again later',
  page_token_refused: 'this page is out of date, load it again',
  rate_limited: 'too many requests of this tenant or on this connection, try again later',
  request_timeout: 'the request took too long to arrive',
  session_busy: 'a photo of this session is being checked, wait for its result',
  session_exhausted: 'this session has used all of its photos',
  session_expired: 'this session has expired',
  session_finished: 'this session has its result',
  timeout: 'the result was not ready in time, the check goes on',
  too_many_endpoints: 'this tenant already has the largest number of webhook endpoints',
  too_many_images: 'send one image only',
  unauthorized: 'wrong or missing credentials',
  unavailable: 'the service cannot take checks right now, try again later',
  unsupported_expectation: 'only "Expect: 100-continue" is supported',
  unsupported_image_type: 'only JPEG and PNG images are supported',
  unsupported_media_type: 'send multipart/form-data or application/json',
  webhook_secret_missing: 'create a webhook secret before you use webhook_url',
  webhook_url_refused: 'webhooks are not delivered to this URL',
} as const;

/** One of the stable codes above. */
export type ErrorCode = keyof typeof errorMessages;

/** The optional parts of an error. */
export interface ErrorDetails {
  /** Replaces the code's default message; the caller sees it. */
  publicMessage?: string;
  /** For the log only; the caller never sees it. */
  detail?: string;
  cause?: unknown;
  /** The caller chose this time limit, so its status 5xx is not logged as our error. */
  isCallersChoice?: boolean;
  /** Seconds until a retry may succeed; absent when a retry cannot help or the time is unknown. */
  retryAfterSeconds?: number;
}

/** An expected failure. Any other error that is thrown is our fault: `internal_error`. */
export class LivegateError extends Error {
  readonly publicMessage: string;
  readonly detail: string | undefined;
  readonly isCallersChoice: boolean;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    readonly code: ErrorCode,
    details: ErrorDetails = {},
  ) {
    const publicMessage = details.publicMessage ?? errorMessages[code];
    super(details.detail ?? publicMessage, { cause: details.cause });
    this.name = 'LivegateError';
    this.publicMessage = publicMessage;
    this.detail = details.detail;
    this.isCallersChoice = details.isCallersChoice ?? false;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** The error, if the request is at fault; `undefined` if a retry may succeed. */
export function asRefusal(error: unknown): LivegateError | undefined {
  return error instanceof LivegateError && !ourFaults.has(error.code) ? error : undefined;
}

const ourFaults: ReadonlySet<ErrorCode> = new Set([
  'internal_error',
  'overloaded',
  'timeout',
  'unavailable',
]);

/** Whether Redis was unreachable or full: a retry may succeed once it recovers. */
export function isStoreFailure(error: unknown): boolean {
  return error instanceof LivegateError && ['overloaded', 'unavailable'].includes(error.code);
}

/** Why a check ended without a verdict; `message` replaces the default message of the code. */
export interface Refusal {
  error: ErrorCode;
  message?: string;
}

/**
 * A refusal as text for a job's `failedReason`: the code, then its own message from the second line on.
 */
export function writeRefusal({ code, publicMessage }: LivegateError): string {
  return publicMessage === errorMessages[code] ? code : `${code}\n${publicMessage}`;
}

/** Reads what `writeRefusal` wrote. Any other text becomes `internal_error` and is not shown. */
export function readRefusal(text: string): Refusal {
  const [error, ...lines] = text.split('\n');
  if (!isErrorCode(error)) return { error: 'internal_error' };
  return lines.length === 0 ? { error } : { error, message: lines.join('\n') };
}

/** Whether the text is an error code. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(errorMessages, text);
}
