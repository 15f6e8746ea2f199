import type { ErrorCode } from '@livegate/core/domain';
import { json } from '../component-schemas.js';
import type { Parameter, Paths } from '../document-types.js';
import { sessionId, sessions } from '../examples.js';
import {
  bothCredentials,
  credentialErrors,
  describeOperation,
  jsonAnswer,
} from './describe-operation.js';

export const sid: Parameter = {
  name: 'sid',
  in: 'path',
  required: true,
  description: 'The id of the session: the last segment of its `url`.',
  schema: { type: 'string' },
  examples: { session: { value: sessionId } },
};

/** `/face/v1/passive-liveness-sessions`, for tenants. */
export function sessionPaths(): Paths {
  return {
    '/face/v1/passive-liveness-sessions': { post: createSession },
    '/face/v1/passive-liveness-sessions/{sid}': { get: readSession, delete: deleteSession },
  };
}

const forTenants = { tags: ['Sessions'], security: bothCredentials };
const readErrors: ErrorCode[] = [...credentialErrors, 'not_found', 'rate_limited', 'unavailable'];

const createSession = describeOperation({
  ...forTenants,
  operationId: 'createSession',
  summary: 'Create a session for one person',
  description:
    'Send the person to the `url` of the answer. Requires the permission `sessions`. A form with the ' +
    'same names is read as well; an empty one makes a session without a `success_url`.',
  requestBody: {
    required: true,
    content: json('SessionCreation', {
      session: {
        summary: 'What the GLAIR SDKs send',
        value: {
          success_url: 'https://shop.example/verified?order=4711',
          cancel_url: 'https://shop.example/cart',
        },
      },
      'every member': {
        summary: 'With every member that Livegate adds',
        value: {
          success_url: 'https://shop.example/verified',
          max_tries: 1,
          ttl_seconds: 600,
          reference: 'order-4711',
          tell_user: true,
          locale: 'id',
        },
      },
    }),
  },
  answers: {
    200: jsonAnswer('The session.', {
      schema: 'SessionCreated',
      examples: { pending: sessions.created },
    }),
  },
  errors: [
    'invalid_json',
    'invalid_multipart',
    'invalid_request',
    ...credentialErrors,
    'unsupported_media_type',
    'rate_limited',
    'overloaded',
    'unavailable',
  ],
});

const readSession = describeOperation({
  ...forTenants,
  operationId: 'readSession',
  summary: 'Read a session',
  description:
    'An expired session stays readable as long as a job does. Another tenant’s session is answered ' +
    'like one that does not exist.',
  parameters: [sid],
  answers: {
    200: jsonAnswer('The session.', {
      schema: 'Session',
      examples: { pending: sessions.pending, finished: sessions.finished },
    }),
  },
  errors: readErrors,
});

const deleteSession = describeOperation({
  ...forTenants,
  operationId: 'deleteSession',
  summary: 'Delete a session with its result and its messages',
  description: 'A photo that is being checked ends without a result.',
  parameters: [sid],
  answers: {
    200: jsonAnswer('The session is deleted.', {
      schema: 'SessionDeletion',
      examples: { deleted: sessions.deleted },
    }),
  },
  errors: [...readErrors, 'overloaded'],
});
