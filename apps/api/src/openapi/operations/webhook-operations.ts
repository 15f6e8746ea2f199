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

const readErrors: ErrorCode[] = [...credentialErrors, 'unavailable'];
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
  const description = ['Needs the permission `webhook-endpoints`.', facts.description];
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
    200: jsonAnswer('All of them, the oldest first.', {
      schema: 'WebhookEndpoints',
      examples: { endpoints: endpoints.list },
    }),
  },
  errors: readErrors,
});

/** Where the program listens that the page at `/docs` shows. */
const localReceiver = 'http://127.0.0.1:8099/livegate';

const createEndpoint = manage({
  operationId: 'createWebhookEndpoint',
  summary: 'Register an endpoint',
  description: 'A tenant has up to 16.',
  requestBody: body('WebhookEndpointCreation', {
    'on this machine': {
      summary: 'A receiver on the machine of a gateway that allows it, as `npm start` does',
      value: { url: localReceiver, events: ['passive_liveness.completed'] },
    },
    endpoint: {
      summary: 'A receiver of yours',
      value: {
        url: 'https://receiver.example/livegate',
        events: ['passive_liveness.completed', 'passive_liveness.failed'],
        description: 'Onboarding',
      },
    },
  }),
  answers: {
    201: jsonAnswer('The endpoint with its secret, which is shown this once.', {
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
    200: jsonAnswer('The endpoint as it is now.', {
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
    200: jsonAnswer('It is removed.', {
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
  description: 'The old one signs, too, until the overlap ends: after a day if you do not say.',
  parameters: [id],
  requestBody: body('SecretRotation', rotations, false),
  answers: {
    200: jsonAnswer('The new secret, which is shown this once.', {
      schema: 'WebhookEndpointSecret',
      examples: { rotated: endpoints.rotated },
    }),
  },
  errors: ['not_found', ...bodyErrors, ...writeErrors],
});

const sendLimit = 'A tenant has 60 tests and replays a minute.';

const sendTest = manage({
  operationId: 'sendTestWebhook',
  summary: 'Send a `webhook.test` to an endpoint',
  description: sendLimit,
  parameters: [id],
  answers: {
    202: jsonAnswer('The delivery, which has begun.', {
      schema: 'WebhookDelivery',
      examples: { test: deliveries.test },
    }),
  },
  errors: ['not_found', 'rate_limited', ...writeErrors],
});

const listDeliveries = manage({
  operationId: 'listWebhookDeliveries',
  summary: 'Read the delivery log of an endpoint',
  parameters: [id],
  answers: {
    200: jsonAnswer('The latest 100, the newest first.', {
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
    202: jsonAnswer('The delivery, which starts its schedule anew.', {
      schema: 'WebhookDelivery',
      examples: { replayed: deliveries.replayed },
    }),
  },
  errors: ['not_found', 'rate_limited', ...writeErrors],
});

const rotateTenantSecret = manage({
  operationId: 'rotateWebhookSecret',
  summary: 'Make or replace the secret for `webhook_url`',
  description: 'It signs what is sent to the `webhook_url` of a check.',
  requestBody: body('SecretRotation', rotations, false),
  answers: {
    200: jsonAnswer('The new secret, which is shown this once.', {
      schema: 'WebhookSecret',
      examples: tenantSecrets,
    }),
  },
  errors: [...bodyErrors, ...writeErrors],
});
