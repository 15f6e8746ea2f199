import { type ErrorCode, type ImageLimits, qualityCodes } from '@livegate/core/domain';
import type { MediaType, Paths, Schema } from '../document-types.js';
import { greySquare, jobs, verdicts } from '../examples.js';
import { idempotencyKey, livegateQuality, prefer } from '../shared-parts.js';
import {
  bothCredentials,
  credentialErrors,
  describeOperation,
  jsonAnswer,
} from './describe-operation.js';

/** How the image is sent. A document shows one form: client generators support only one body. */
export type BodyForm = 'multipart' | 'json';

/** The settings of the gateway that the document mentions. */
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
      'Waits for the verdict, unless you prefer a job. Requires the permission `passive-liveness`, ' +
      `and \`webhook-url\` to send a \`webhook_url\`. ${otherForms[body]}`,
    security: bothCredentials,
    parameters: [preferences(waitLimitMs), idempotencyKey, livegateQuality],
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
        sometimes: ['Livegate-Quality', 'Preference-Applied'],
      }),
      202: jsonAnswer('The job, for a caller who prefers `respond-async`.', {
        schema: 'Job',
        examples: jobs('queued', 'processing'),
        always: ['Location', 'Preference-Applied', 'Retry-After'],
        sometimes: ['Livegate-Quality'],
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
  'invalid_quality_policy',
  'webhook_url_refused',
  'webhook_secret_missing',
  ...qualityCodes,
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
    `\`wait=n\`: wait at most n seconds, by default ${waitLimitMs / 1000}. ` +
      '`respond-async`: answer with a job at once. Both: the verdict if it is ready in time, else a job.',
    'wait=10',
    'respond-async',
    'respond-async, wait=10',
  );
}

function describeImage({ maxImageBytes, maxImagePixels }: ImageLimits): string {
  return (
    `One JPEG or PNG, recognized by its bytes: at most ${maxImageBytes} bytes, ${maxImagePixels} pixels, ` +
    '20000 pixels a side. EXIF orientation is applied. A multipart part needs no filename, and other parts are ' +
    'ignored, up to 1000. The body may be compressed with `Content-Encoding: gzip` or `deflate`; ' +
    'the limits then apply to the decompressed body.'
  );
}

const exampleFiles = ' In the examples, `@name` stands for the bytes of a file, as in `curl -F`.';

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
  description: 'A URL to call when this check ends, in addition to your endpoints.',
};

const bodies: Record<BodyForm, Record<string, MediaType>> = {
  multipart: {
    'multipart/form-data': {
      // OpenAPI 3.1 needs only the media type, but client generators rely on the format.
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
          'Base64 or base64url, with or without padding; white space and a `data:` prefix are allowed.',
      }),
      examples: {
        'no face': { summary: 'A grey square', value: { image: greySquare } },
        'with a webhook': {
          summary: 'A grey square; the end of its check is announced',
          value: { image: greySquare, webhook_url: 'https://receiver.example/livegate' },
        },
      },
    },
  },
};

/** Not generated from a zod schema: uploads are parsed by hand. */
function uploadSchema(image: Schema): Schema {
  const properties = { image, webhook_url: webhookUrl };
  return { type: 'object', required: ['image'], properties };
}
