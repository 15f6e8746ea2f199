import type { ErrorCode } from '@livegate/core/domain';
import { json, type SchemaName } from '../component-schemas.js';
import type { Example, Parameter, Paths, RequestBody } from '../document-types.js';
import { deliveries, endpoints, tenantSecrets } from '../examples.js';
import {
  bothCredentials,
  credentialErrors,
  describeOperation,
  jsonAnswer,
  type OperationFacts,
} from './describe-operation.js';

const id: Parameter = {
  name: 'id',
  in: 'path',
  required: true,
  description: 'The id of the endpoint.',
  schema: { type: 'string' },
  examples: { endpoint: { value: endpoints.one.value.id } },
};

const delivery: Parameter = {
  name: 'delivery',
  in: 'path',
  required: true,
  description: 'The id of the delivery, which is the `webhook-id` of its message.',
  schema: { type: 'string' },
  examples: { delivery: { value: deliveries.test.value.id } },
};

const readErrors: ErrorCode[] = [...credentialErrors, 'rate_limited', 'unavailable'];
const writeErrors: ErrorCode[] = [...readErrors, 'overloaded'];
const bodyErrors: ErrorCode[] = ['invalid_json', 'invalid_request', 'unsupported_media_type'];

/** `/v1/webhook-endpoints` and `/v1/webhook-secret`. */
export function webhookPaths(): Paths {
  const one = '/v1/webhook-endpoints/{id}';
  return {
    '/v1/webhook-endpoints': { get: listEndpoints, post: createEndpoint },
    [one]: { get: readEndpoint, patch: changeEndpoint, delete: removeEndpoint },
    [`${one}/rotate-secret`]: { post: rotateEndpointSecret },
    [`${one}/test`]: { post: sendTest },
    [`${one}/deliveries`]: { get: listDeliveries },
    [`${one}/deliveries/{delivery}/replay`]: { post: replayDelivery },
    '/v1/webhook-secret': { post: rotateTenantSecret },
  };
}

function manage(facts: Omit<OperationFacts, 'tags' | 'security'>) {
  const description = ['Requires the permission `webhook-endpoints`.', facts.description];
  return describeOperation({
    ...facts,
    description: description.filter(Boolean).join(' '),
    tags: ['Webhooks'],
    security: bothCredentials,
  });
}

function body(schema: SchemaName, examples: Record<string, Example>, required = true): RequestBody {
  return { required, content: json(schema, examples) };
}

const listEndpoints = manage({
  operationId: 'listWebhookEndpoints',
  summary: 'List your endpoints',
  answers: {
    200: jsonAnswer('All endpoints, the oldest first.', {
      schema: 'WebhookEndpoints',
      examples: { endpoints: endpoints.list },
    }),
  },
  errors: readErrors,
});

/** The URL of the receiver program that the page at `/docs` shows. */
const localReceiver = 'http://127.0.0.1:8099/livegate';

const createEndpoint = manage({
  operationId: 'createWebhookEndpoint',
  summary: 'Register an endpoint',
  description: 'A tenant can have up to 16 endpoints.',
  requestBody: body('WebhookEndpointCreation', {
    'on this machine': {
      summary: 'A receiver on the machine of a gateway that allows it, as `npm start` does',
      value: { url: localReceiver, events: ['passive_liveness.completed'] },
    },
    endpoint: {
      summary: 'Your own receiver',
      value: {
        url: 'https://receiver.example/livegate',
        events: ['passive_liveness.completed', 'passive_liveness.failed'],
        description: 'Onboarding',
      },
    },
  }),
  answers: {
    201: jsonAnswer('The endpoint with its secret, which is shown only once.', {
      schema: 'WebhookEndpointCreated',
      examples: { endpoint: endpoints.created },
      always: ['Location'],
    }),
  },
  errors: [...bodyErrors, 'webhook_url_refused', 'too_many_endpoints', ...writeErrors],
});

const readEndpoint = manage({
  operationId: 'readWebhookEndpoint',
  summary: 'Read an endpoint',
  parameters: [id],
  answers: {
    200: jsonAnswer('The endpoint.', {
      schema: 'WebhookEndpoint',
      examples: { enabled: endpoints.one, disabled: endpoints.disabled },
    }),
  },
  errors: ['not_found', ...readErrors],
});

const changeEndpoint = manage({
  operationId: 'changeWebhookEndpoint',
  summary: 'Change an endpoint',
  parameters: [id],
  requestBody: body('WebhookEndpointChanges', {
    disable: { value: { enabled: false } },
    describe: { value: { description: 'Onboarding, second receiver' } },
  }),
  answers: {
    200: jsonAnswer('The changed endpoint.', {
      schema: 'WebhookEndpoint',
      examples: { enabled: endpoints.one, disabled: endpoints.disabled },
    }),
  },
  errors: ['not_found', ...bodyErrors, 'webhook_url_refused', ...writeErrors],
});

const removeEndpoint = manage({
  operationId: 'removeWebhookEndpoint',
  summary: 'Remove an endpoint and its delivery log',
  parameters: [id],
  answers: {
    200: jsonAnswer('The endpoint is removed.', {
      schema: 'Deletion',
      examples: { removed: endpoints.deleted },
    }),
  },
  errors: ['not_found', ...readErrors],
});

const rotations: Record<string, Example> = {
  'at once': { value: { overlap_seconds: 0 } },
  'within an hour': { value: { overlap_seconds: 3600 } },
};

const rotateEndpointSecret = manage({
  operationId: 'rotateWebhookEndpointSecret',
  summary: 'Replace the secret of an endpoint',
  description:
    'Messages are also signed with the old secret until the overlap ends, by default after a day.',
  parameters: [id],
  requestBody: body('SecretRotation', rotations, false),
  answers: {
    200: jsonAnswer('The new secret, which is shown only once.', {
      schema: 'WebhookEndpointSecret',
      examples: { rotated: endpoints.rotated },
    }),
  },
  errors: ['not_found', ...bodyErrors, ...writeErrors],
});

const sendLimit = 'Limited to 60 tests and replays per tenant and minute.';

const sendTest = manage({
  operationId: 'sendTestWebhook',
  summary: 'Send a `webhook.test` to an endpoint',
  description: sendLimit,
  parameters: [id],
  answers: {
    202: jsonAnswer('The delivery, which is queued.', {
      schema: 'WebhookDelivery',
      examples: { test: deliveries.test },
    }),
  },
  errors: ['not_found', ...writeErrors],
});

const listDeliveries = manage({
  operationId: 'listWebhookDeliveries',
  summary: 'Read the delivery log of an endpoint',
  parameters: [id],
  answers: {
    200: jsonAnswer('The latest 100 deliveries, the newest first.', {
      schema: 'WebhookDeliveries',
      examples: { deliveries: deliveries.list },
    }),
  },
  errors: ['not_found', ...readErrors],
});

const replayDelivery = manage({
  operationId: 'replayWebhookDelivery',
  summary: 'Send the same message again, now',
  description: sendLimit,
  parameters: [id, delivery],
  answers: {
    202: jsonAnswer('The delivery, whose retry schedule starts again.', {
      schema: 'WebhookDelivery',
      examples: { replayed: deliveries.replayed },
    }),
  },
  errors: ['not_found', ...writeErrors],
});

const rotateTenantSecret = manage({
  operationId: 'rotateWebhookSecret',
  summary: 'Create or replace the secret for `webhook_url`',
  description: 'Messages to the `webhook_url` of a check are signed with it.',
  requestBody: body('SecretRotation', rotations, false),
  answers: {
    200: jsonAnswer('The new secret, which is shown only once.', {
      schema: 'WebhookSecret',
      examples: tenantSecrets,
    }),
  },
  errors: [...bodyErrors, ...writeErrors],
});
