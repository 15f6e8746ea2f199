import type { ErrorCode, ImageLimits } from '@livegate/core/domain';
import type { MediaType, Paths, Schema } from '../document-types.js';
import { greySquare, jobs, verdicts } from '../examples.js';
import { idempotencyKey, prefer } from '../responses.js';
import {
  bothCredentials,
  credentialErrors,
  describeOperation,
  jsonAnswer,
} from './describe-operation.js';

/** How the image is sent. A document has one form: generators of clients take one body only. */
export type BodyForm = 'multipart' | 'json';

/** What the document says about the gateway that serves it. */
export interface CheckFacts {
  limits: ImageLimits;
  waitLimitMs: number;
  body: BodyForm;
}

/** `/face/v1/passive-liveness`. */
export function checkPaths({ limits, waitLimitMs, body }: CheckFacts): Paths {
  const post = describeOperation({
    operationId: 'checkPassiveLiveness',
    tags: ['Checks'],
    summary: 'Check one selfie',
    description:
      'Waits for the verdict, unless you prefer a job. Needs the permission `passive-liveness`, ' +
      `and \`webhook-url\` to send a \`webhook_url\`. ${otherForms[body]}`,
    security: bothCredentials,
    parameters: [preferences(waitLimitMs), idempotencyKey],
    requestBody: {
      required: true,
      description: describeImage(limits) + (body === 'multipart' ? exampleFiles : ''),
      content: bodies[body],
    },
    answers: {
      200: jsonAnswer('The verdict.', {
        schema: 'Verdict',
        examples: verdicts,
        always: ['Livegate-Model', 'Server-Timing'],
        sometimes: ['Preference-Applied'],
      }),
      202: jsonAnswer('The job, for a caller who prefers `respond-async`.', {
        schema: 'Job',
        examples: jobs('queued', 'processing'),
        always: ['Location', 'Preference-Applied', 'Retry-After'],
      }),
    },
    errors: checkErrors,
  });
  return { '/face/v1/passive-liveness': { post } };
}

const checkErrors: ErrorCode[] = [
  'missing_image',
  'too_many_images',
  'empty_image',
  'invalid_base64',
  'invalid_image',
  'image_dimensions_exceeded',
  'invalid_json',
  'invalid_multipart',
  'invalid_request',
  'invalid_idempotency_key',
  'webhook_url_refused',
  'webhook_secret_missing',
  ...credentialErrors,
  'canceled',
  'image_too_large',
  'unsupported_image_type',
  'unsupported_media_type',
  'idempotency_key_reused',
  'rate_limited',
  'overloaded',
  'unavailable',
  'image_expired',
  'timeout',
];

function preferences(waitLimitMs: number) {
  return prefer(
    `\`wait=n\`: wait n seconds at most, ${waitLimitMs / 1000} if you do not say. ` +
      '`respond-async`: do not wait, a job will do. Both: the verdict if it comes in time, else the job.',
    'wait=10',
    'respond-async',
    'respond-async, wait=10',
  );
}

function describeImage({ maxImageBytes, maxImagePixels }: ImageLimits): string {
  return (
    `One JPEG or PNG, told by its bytes: at most ${maxImageBytes} bytes, ${maxImagePixels} pixels, ` +
    '20000 pixels a side. EXIF orientation is applied. A multipart part needs no filename, and other parts are ' +
    'ignored; there may be 1000. The body may be compressed: `Content-Encoding: gzip` or `deflate`, ' +
    'and is then limited by what it becomes.'
  );
}

const exampleFiles = ' In the examples `@name` stands for the bytes of a file, as with `curl -F`.';

const otherForms: Record<BodyForm, string> = {
  multipart:
    'The image may also be sent as base64 in JSON: `/openapi.json?body=json` and `/docs?body=json` ' +
    'show that form.',
  json:
    'The image may also be sent as a file, in multipart/form-data: `/openapi.json` and `/docs` ' +
    'show that form.',
};

const webhookUrl = {
  type: 'string',
  maxLength: 2048,
  default: '',
  description: 'A URL to call when this check ends, beside your endpoints.',
};

const bodies: Record<BodyForm, Record<string, MediaType>> = {
  multipart: {
    'multipart/form-data': {
      // OpenAPI 3.1 needs no more than the media type; generators of clients look for the format.
      schema: uploadSchema({
        type: 'string',
        format: 'binary',
        contentMediaType: 'application/octet-stream',
      }),
      examples: {
        low: { summary: 'A selfie', value: { image: '@selfie.jpg' } },
        high: { summary: 'A photo of a screen', value: { image: '@screen.jpg' } },
        'no face': { summary: 'A landscape', value: { image: '@landscape.jpg' } },
        'many faces': { summary: 'A group', value: { image: '@group.jpg' } },
      },
    },
  },
  json: {
    'application/json': {
      schema: uploadSchema({
        type: 'string',
        contentEncoding: 'base64',
        description:
          'Base64 or base64url, with or without padding; white space and a `data:` prefix may be there.',
      }),
      examples: {
        'no face': { summary: 'A grey square', value: { image: greySquare } },
        'with a webhook': {
          summary: 'A grey square; its end is announced',
          value: { image: greySquare, webhook_url: 'https://receiver.example/livegate' },
        },
      },
    },
  },
};

/** Not made from a zod schema: megabytes are parsed by hand, piece by piece. */
function uploadSchema(image: Schema): Schema {
  const properties = { image, webhook_url: webhookUrl };
  return { type: 'object', required: ['image'], properties };
}
