import { errorMessages, LivegateError, type ErrorCode, type ErrorDetails } from '@livegate/core';
import { presentError, statusOf } from '../present-error.js';
import { ref } from './component-schemas.js';
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
  const responses = [...new Set(codes.map(statusOf))].map((status) => {
    const ofStatus = codes.filter((code) => statusOf(code) === status);
    return [status, describeErrors(status, ofStatus, sometimes)];
  });
  return { ...Object.fromEntries(responses), default: { $ref: '#/components/responses/AnyError' } };
}

export function createAnyError(): Response {
  const pairs = commonErrors.map((code) => ({
    properties: { http_status: { const: statusOf(code) }, error_code: { const: code } },
  }));
  return {
    description: 'What any request may meet, whatever it asks for.',
    headers: listHeaders({ sometimes: ['Allow', 'Preference-Applied'] }),
    content: {
      'application/json': {
        schema: { allOf: [ref('Error'), { oneOf: pairs }] },
        examples: exampleErrors(commonErrors),
      },
    },
  };
}

function describeErrors(status: number, codes: ErrorCode[], sometimes: HeaderName[]): Response {
  const headers = codes.map((code) => Object.keys(present(code).headers) as HeaderName[]);
  const always = headers.reduce((common, some) => common.filter((name) => some.includes(name)));
  const properties = { http_status: { const: status }, error_code: { enum: codes } };
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    headers: listHeaders({ always: status === 504 ? [...always, 'Location'] : always, sometimes }),
    content: {
      'application/json': {
        schema: { allOf: [ref('Error'), { properties }] },
        examples: exampleErrors(codes),
      },
    },
  };
}

function exampleErrors(codes: readonly ErrorCode[]) {
  return Object.fromEntries(codes.map((code) => [code, { value: present(code).body }]));
}

/** Every code with its status and words, as a table in Markdown. */
export function tabulateErrors(): string {
  const codes = (Object.keys(errorMessages) as ErrorCode[]).toSorted(
    (a, b) => statusOf(a) - statusOf(b) || a.localeCompare(b),
  );
  const rows = codes.map((code) => `| ${statusOf(code)} | \`${code}\` | ${errorMessages[code]} |`);
  return ['| HTTP | `error_code` | `error_message` |', '| --- | --- | --- |', ...rows].join('\n');
}
