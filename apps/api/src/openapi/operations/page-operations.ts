import type { ErrorCode, ImageLimits } from '@livegate/core/domain';
import type { MediaType, Paths } from '../document-types.js';
import { pageToken, sessions } from '../examples.js';
import { listHeaders } from '../shared-parts.js';
import { describeOperation, jsonAnswer, noCredentials } from './describe-operation.js';
import { sid } from './session-operations.js';

/** `/sessions/{sid}`, for the page of a session. */
export function pagePaths({ limits }: { limits: ImageLimits }): Paths {
  return {
    '/sessions/{sid}': { get: showPage },
    '/sessions/{sid}/state': { get: readState },
    '/sessions/{sid}/photo': { post: sendPhoto(limits) },
    '/sessions/{sid}/cancel': { post: leavePage },
  };
}

const forPages = { tags: ['Pages'], security: noCredentials, parameters: [sid] };
const pageErrors: ErrorCode[] = ['not_found', 'rate_limited', 'overloaded', 'unavailable'];

const html: MediaType = { schema: { type: 'string' } };

const showPage = describeOperation({
  ...forPages,
  operationId: 'showSessionPage',
  summary: 'The page that takes the photo',
  description:
    'For the browser of the person. A client that accepts HTML, and JSON less, gets errors as HTML.',
  answers: {
    200: {
      description: 'The page. It loads nothing from other hosts.',
      headers: listHeaders({
        always: ['Content-Security-Policy', 'Permissions-Policy', 'Vary'],
      }),
      content: { 'text/html': html },
    },
  },
  errors: [...pageErrors, 'session_expired'],
  errorHeaders: ['Vary'],
  errorContent: { 'text/html': html },
});

const readState = describeOperation({
  ...forPages,
  operationId: 'readSessionState',
  summary: 'What the page shows',
  description: 'Has the token for the next photo, which is new in every answer.',
  answers: {
    200: jsonAnswer('The state. With `Retry-After` while a photo is being checked.', {
      schema: 'PageState',
      examples: {
        fresh: sessions.freshState,
        hint: sessions.hintState,
        finished: sessions.finishedState,
      },
      sometimes: ['Retry-After'],
    }),
  },
  errors: [...pageErrors, 'session_expired'],
});

const photoErrors: ErrorCode[] = [
  'missing_image',
  'too_many_images',
  'empty_image',
  'invalid_image',
  'image_dimensions_exceeded',
  'invalid_multipart',
  'page_token_refused',
  'session_busy',
  'session_exhausted',
  'session_finished',
  'session_expired',
  'image_too_large',
  'unsupported_image_type',
  'unsupported_media_type',
];

function sendPhoto({ maxImageBytes }: ImageLimits) {
  return describeOperation({
    ...forPages,
    operationId: 'sendSessionPhoto',
    summary: 'Check a photo',
    description:
      'Waits for the end of the check; if that takes too long, the answer says `checking`, and the ' +
      'state tells the end. What the page reports about the capture becomes signals of the session.',
    requestBody: {
      required: true,
      description: `A JPEG or PNG of at most ${maxImageBytes} bytes, and what the page knows of it.`,
      content: {
        'multipart/form-data': {
          schema: photoSchema,
          examples: { selfie: { summary: 'A frame of the camera', value: photoExample } },
        },
      },
    },
    answers: {
      200: jsonAnswer('The state after the check.', {
        schema: 'PageState',
        examples: {
          hint: sessions.hintState,
          finished: sessions.finishedState,
          checking: sessions.checkingState,
        },
        sometimes: ['Retry-After'],
      }),
    },
    errors: [...photoErrors, ...pageErrors],
  });
}

const photoExample = {
  token: pageToken,
  image: '@selfie.jpg',
  source: 'camera',
  frame_age_ms: 240,
  frames: 90,
  frame_jitter_ms: 1.7,
  camera: 'physical',
};

/** Not generated from a zod schema: every field of a form is text. */
const photoSchema = {
  type: 'object',
  required: ['token', 'image'],
  properties: {
    token: { type: 'string', description: 'The `token` of the state; each is for one photo.' },
    image: {
      type: 'string',
      format: 'binary',
      contentMediaType: 'application/octet-stream',
    },
    source: { type: 'string', enum: ['camera', 'file'] },
    frame_age_ms: { type: 'number', description: 'How old the frame is when it is sent.' },
    frames: { type: 'number', description: 'How many frames of the camera the page has seen.' },
    frame_jitter_ms: {
      type: 'number',
      description: 'The standard deviation of the time between frames.',
    },
    camera: {
      type: 'string',
      enum: ['physical', 'virtual', 'unknown'],
      description: 'What the label of the camera says; the label itself stays in the browser.',
    },
  },
};

const leavePage = describeOperation({
  ...forPages,
  operationId: 'cancelSession',
  summary: 'Leave the page by its back button',
  description:
    'Cancels a photo that is being checked. The session stays open until it expires. 404 for a session ' +
    'without a `cancel_url`.',
  answers: {
    200: jsonAnswer('Where to go.', {
      schema: 'SessionCancellation',
      examples: { canceled: sessions.canceled },
    }),
  },
  errors: [...pageErrors, 'session_finished'],
});
