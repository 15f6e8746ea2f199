import type { Parameter, Paths } from '../document-types.js';
import { exampleId, jobs } from '../examples.js';
import { livegateQuality, prefer } from '../shared-parts.js';
import {
  bothCredentials,
  credentialErrors,
  describeOperation,
  jsonAnswer,
} from './describe-operation.js';

const id: Parameter = {
  name: 'id',
  in: 'path',
  required: true,
  description: 'The `Request-Id` of the check.',
  schema: { type: 'string', format: 'uuid' },
  examples: { job: { value: exampleId } },
};

const shared = { tags: ['Jobs'], security: bothCredentials };
const readErrors = [...credentialErrors, 'not_found', 'rate_limited', 'unavailable'] as const;

/** `/v1/jobs`. Another tenant's job is answered like one that does not exist. */
export function jobPaths(): Paths {
  return {
    '/v1/jobs/{id}': { get: readJob(), delete: deleteJob() },
    '/v1/jobs/{id}/cancel': { post: cancelJob() },
  };
}

function readJob() {
  return describeOperation({
    ...shared,
    operationId: 'readJob',
    summary: 'Read a job, or wait for its end',
    description: 'A job is visible to its own tenant only, until its result expires.',
    parameters: [
      id,
      prefer('`wait=n`: answer when the job ends, or after n seconds.', 'wait=10'),
      livegateQuality,
    ],
    answers: {
      200: jsonAnswer('The current job. With `Retry-After` while it has not ended.', {
        schema: 'Job',
        examples: jobs('queued', 'processing', 'succeeded', 'failed', 'canceled'),
        sometimes: ['Livegate-Quality', 'Preference-Applied', 'Retry-After'],
      }),
    },
    errors: ['invalid_quality_policy', ...readErrors],
  });
}

function deleteJob() {
  return describeOperation({
    ...shared,
    operationId: 'deleteJob',
    summary: 'Delete a job with its result, its messages and its image',
    description: 'A running job ends without a result.',
    parameters: [id],
    answers: {
      200: jsonAnswer('The job is deleted.', {
        schema: 'Deletion',
        examples: { deleted: { value: { id: exampleId, deleted: true } } },
      }),
    },
    errors: [...readErrors, 'overloaded'],
  });
}

function cancelJob() {
  return describeOperation({
    ...shared,
    operationId: 'cancelJob',
    summary: 'Cancel a job',
    description: 'A queued job never runs; a running job ends without a result.',
    parameters: [id],
    answers: {
      200: jsonAnswer('The job: canceled, or still processing until it ends as canceled.', {
        schema: 'Job',
        examples: jobs('canceled', 'processing'),
        sometimes: ['Retry-After'],
      }),
    },
    errors: [...readErrors, 'overloaded', 'already_finished'],
  });
}
