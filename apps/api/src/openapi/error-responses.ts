import { errorMessages, LivegateError, type ErrorCode, type ErrorDetails } from '@livegate/core';
import { presentError, statusOf } from '../present-error.js';
import { json } from './component-schemas.js';
import type { Reference, Response } from './document-types.js';
import { exampleId } from './examples.js';
import { listHeaders, type HeaderName } from './headers.js';

/** Refusals that tell more than their code's own words, or when to come again. */
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

/** What any request may meet, whatever it asks for: the `default` of every operation. */
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

/** The errors of one operation, by status. Any can also be met with one of `commonErrors`. */
export function errorResponses(
  codes: ErrorCode[],
  sometimes: HeaderName[],
): Record<string, Response | Reference> {
  const statuses = [...new Set(codes.map(statusOf))];
  const responses = statuses.map((status) => {
    const ofStatus = codes.filter((code) => statusOf(code) === status);
    return [status, describeErrors(ofStatus, sometimes)];
  });
  const isOnlyCommon = !statuses.some((status) => status < 500);
  return {
    ...Object.fromEntries(responses),
    // Linters ask for one; of "4XX" some generators make code that does not compile.
    ...(isOnlyCommon && { 400: anyError }),
    default: anyError,
  };
}

const anyError: Reference = { $ref: '#/components/responses/AnyError' };

export function createAnyError(): Response {
  return {
    description: 'The errors that every request can meet.',
    headers: listHeaders({ sometimes: ['Allow', 'Preference-Applied'] }),
    content: json('ErrorBody', exampleErrors(commonErrors)),
  };
}

function describeErrors(codes: ErrorCode[], sometimes: HeaderName[]): Response {
  const headers = codes.map((code) => Object.keys(present(code).headers) as HeaderName[]);
  const always = headers.reduce((common, some) => common.filter((name) => some.includes(name)));
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    headers: listHeaders({
      always: codes.includes('timeout') ? [...always, 'Location'] : always,
      sometimes,
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
    .map((code) => ({ status: statusOf(code), code, message: errorMessages[code] }))
    .toSorted((a, b) => a.status - b.status || a.code.localeCompare(b.code));
}

/** The same as a table in Markdown. */
export function tabulateErrors(): string {
  const rows = listErrors().map(
    ({ status, code, message }) => `| ${status} | \`${code}\` | ${message} |`,
  );
  return ['| HTTP | `error_code` | `error_message` |', '| --- | --- | --- |', ...rows].join('\n');
}
