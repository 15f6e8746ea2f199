import {
  type ErrorCode,
  type ErrorDetails,
  errorMessages,
  LivegateError,
  qualityCodes,
  qualityPolicies,
} from '@livegate/core/domain';
import { httpStatusOf, presentError } from '../contract/present-error.js';
import { json } from './component-schemas.js';
import type { Header, Parameter, Reference, Response } from './document-types.js';
import { exampleId } from './examples.js';

const callersId = { type: 'string', pattern: '^[\\x20-\\x7e]{1,1024}$' };
const seconds = { type: 'string', pattern: '^[0-9]+$' };

/** Headers of every answer, defined once in `components`. */
export const sharedHeaders = {
  'Request-Id': {
    description: 'The id of the request in our logs; for a check, also the id of its job.',
    required: true,
    schema: { type: 'string', format: 'uuid' },
  },
  'x-request-id': { description: 'What you sent, unchanged.', schema: callersId },
} satisfies Record<string, Header>;

/** Headers of some answers. */
const headerDescriptions = {
  Allow: {
    description: 'The methods that this path supports.',
    schema: { type: 'string' },
    example: 'GET, HEAD',
  },
  'Content-Security-Policy': {
    description: 'Lets the page load from this server only.',
    schema: { type: 'string' },
  },
  'Livegate-Model': {
    description: 'The models behind the answer: name/version+hash, comma-separated.',
    schema: { type: 'string' },
    example: 'fr-detect/0.0.1+0123abcd, fr-liveness/0.0.1+89abcdef',
  },
  'Livegate-Quality': {
    description:
      'What makes the verdict weak, comma-separated, the most useful hint first; absent for a good picture.',
    schema: { type: 'string' },
    example: 'face_too_close, image_too_blurry',
  },
  Location: {
    description: 'The URL of the job or the endpoint.',
    schema: { type: 'string', format: 'uri-reference' },
  },
  'Permissions-Policy': {
    description: 'Only the page itself may use the camera.',
    schema: { type: 'string' },
  },
  'Preference-Applied': {
    description: 'Which preferences were followed (RFC 7240).',
    schema: { type: 'string' },
    example: 'respond-async',
  },
  'Retry-After': {
    description: 'When to try again, in seconds.',
    schema: seconds,
    example: '1',
  },
  'Server-Timing': {
    description: 'The duration of each stage, in milliseconds.',
    schema: { type: 'string' },
    example:
      'upload;dur=1.9, queue;dur=3.1, decode;dur=6.5, detect;dur=3.8, classify;dur=22, total;dur=38',
  },
  Vary: { description: 'Which request headers change the answer.', schema: { type: 'string' } },
  'WWW-Authenticate': {
    description: 'The missing credentials. `x-api-key` is needed as well.',
    schema: { type: 'string' },
    example: 'Basic realm="livegate", charset="UTF-8"',
  },
} satisfies Record<string, Header>;

export type HeaderName = keyof typeof headerDescriptions;

/** The headers of every answer, and the named ones: `always` present, or only `sometimes`. */
export function listHeaders({
  always = [],
  sometimes = [],
}: {
  always?: HeaderName[];
  sometimes?: HeaderName[];
}): Record<string, Header | Reference> {
  return {
    ...Object.fromEntries(Object.keys(sharedHeaders).map((name) => [name, sharedHeader(name)])),
    ...Object.fromEntries(
      always.map((name) => [name, { ...headerDescriptions[name], required: true }]),
    ),
    ...Object.fromEntries(sometimes.map((name) => [name, headerDescriptions[name]])),
  };
}

function sharedHeader(name: string): Reference {
  return { $ref: `#/components/headers/${name}` };
}

// Examples of header parameters are in their schemas: Swagger UI fills in a parameter's own examples,
// and sending one idempotency key with different images is an error.

/** A parameter of every operation. */
export const callerRequestId: Parameter = {
  name: 'x-request-id',
  in: 'header',
  description:
    'Your own id of the request: logged and sent back, but never used to identify anything. Other ' +
    'characters or a longer text: neither logged nor sent back.',
  schema: { ...callersId, examples: ['order-4711'] },
};

export const idempotencyKey: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  description:
    'Makes a retry safe: requests with the same key and image share one check and its answer, on any ' +
    'gateway, as long as the result is kept. A check that failed, was canceled or was deleted ' +
    'frees its key. Unquoted, or as a quoted string.',
  schema: {
    type: 'string',
    pattern: '^[\\x21-\\x7e]{1,255}$|^"[\\x21-\\x7e]{1,255}"$',
    examples: ['order-4711', '"order-4712"'],
  },
};

/** The `Prefer` header of one route, with the preferences that it supports (RFC 7240). */
export function prefer(description: string, ...examples: string[]): Parameter {
  return {
    name: 'Prefer',
    in: 'header',
    description: `${description} Other preferences are ignored.`,
    schema: { type: 'string', examples },
  };
}

export const livegateQuality: Parameter = {
  name: 'Livegate-Quality',
  in: 'header',
  description:
    'What to do about a weak image. `header`: only name its codes in the response header of this ' +
    'name. `report`: add `result.quality` to the body. `enforce`: refuse it, with the first code as ' +
    '`error_code` and a hint for the person as `error_message`. The stronger of this header and ' +
    "the credential's own setting applies.",
  schema: { type: 'string', enum: [...qualityPolicies], examples: ['report', 'enforce'] },
};

/** Errors with a more specific message than their code's own, or with a time to retry. */
const exampleDetails: Partial<Record<ErrorCode, ErrorDetails>> = {
  image_dimensions_exceeded: { publicMessage: 'the image has more than 52000000 pixels' },
  image_too_large: { publicMessage: 'the image has more than 10485760 bytes' },
  invalid_request: { publicMessage: 'url: Invalid input: expected string, received undefined' },
  rate_limited: { retryAfterSeconds: 12 },
  unsupported_image_type: {
    publicMessage: 'only JPEG and PNG images are supported, this is image/gif',
  },
  webhook_url_refused: {
    publicMessage: 'webhooks are not delivered to this URL: it must begin with https://',
  },
};

/** Errors that any request can get: the `default` of every operation. */
export const commonErrors: readonly ErrorCode[] = [
  'bad_request',
  'not_found',
  'method_not_allowed',
  'request_timeout',
  'unsupported_expectation',
  'headers_too_large',
  'internal_error',
];

const present = (code: ErrorCode) =>
  presentError(new LivegateError(code, exampleDetails[code]), exampleId);

/** The errors of one operation, by status, and `commonErrors` as the default. */
export function errorResponses(
  codes: ErrorCode[],
  { sometimes, content = {} }: { sometimes: HeaderName[]; content?: Response['content'] },
): Record<string, Response | Reference> {
  const statuses = [...new Set(codes.map(httpStatusOf))];
  // A status of its own replaces the default, so it repeats the common errors of this status.
  const all = [...new Set([...codes, ...commonErrors])];
  const responses = statuses.map((status) => {
    const ofStatus = all.filter((code) => httpStatusOf(code) === status);
    const response = describeErrors(ofStatus, sometimes);
    return [status, { ...response, content: { ...response.content, ...content } }];
  });
  const isOnlyCommon = !statuses.some((status) => status < 500);
  return {
    ...Object.fromEntries(responses),
    // Linters require a 4xx response; for "4XX" some generators make code that does not compile.
    ...(isOnlyCommon && { 400: anyError }),
    default: anyError,
  };
}

const anyError: Reference = { $ref: '#/components/responses/AnyError' };

export function createAnyError(): Response {
  return {
    description: 'The errors that every request can get.',
    headers: listHeaders({ sometimes: ['Allow', 'Preference-Applied'] }),
    content: json('ErrorBody', exampleErrors(commonErrors)),
  };
}

function describeErrors(codes: ErrorCode[], sometimes: HeaderName[]): Response {
  const headers = codes.map((code) => Object.keys(present(code).headers) as HeaderName[]);
  const isOfWeakImages = qualityCodes.some((code) => codes.includes(code));
  const always = headers.reduce((common, some) => common.filter((name) => some.includes(name)));
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    headers: listHeaders({
      always: codes.includes('timeout') ? [...always, 'Location'] : always,
      sometimes: isOfWeakImages ? [...sometimes, 'Livegate-Quality'] : sometimes,
    }),
    content: json('ErrorBody', exampleErrors(codes)),
  };
}

function exampleErrors(codes: readonly ErrorCode[]) {
  return Object.fromEntries(codes.map((code) => [code, { value: present(code).body }]));
}

/** Every code with its status and default message, by status. */
export function listErrors(): { status: number; code: ErrorCode; message: string }[] {
  return (Object.keys(errorMessages) as ErrorCode[])
    .map((code) => ({ status: httpStatusOf(code), code, message: errorMessages[code] }))
    .toSorted((a, b) => a.status - b.status || a.code.localeCompare(b.code));
}

/** The same list as a Markdown table. */
export function tabulateErrors(): string {
  const rows = listErrors().map(
    ({ status, code, message }) => `| ${status} | \`${code}\` | ${message} |`,
  );
  return ['| HTTP | `error_code` | `error_message` |', '| --- | --- | --- |', ...rows].join('\n');
}
