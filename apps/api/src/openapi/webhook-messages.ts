import { ref } from './component-schemas.js';
import type { Operation, Parameter, PathItem, Response, Schema } from './document-types.js';
import { events, sessions, testEvent } from './examples.js';

const answer = (description: string): Response => ({ description, headers: {}, content: {} });

const responses = {
  '2XX': answer('Received: the message is not sent again.'),
  '410': answer('Gone: the endpoint is disabled.'),
  default: answer('Not received: the message is retried, up to ten attempts in all.'),
};

/** The document's `webhooks`: what Livegate sends, as in Standard Webhooks. */
export function webhookMessages(): Record<string, PathItem> {
  return {
    'passive_liveness.completed': message('A check succeeded', 'succeeded'),
    'passive_liveness.failed': message('A check failed', 'failed'),
    'passive_liveness.canceled': message('A check was canceled', 'canceled'),
    'passive_liveness_session.finished': {
      post: describe('A hosted session is finished', {
        operationId: 'onSessionFinished',
        schema: ref('WebhookSessionEvent'),
        examples: { finished: sessions.event },
      }),
    },
    'webhook.test': {
      post: describe('What `POST /v1/webhook-endpoints/{id}/test` sends', {
        operationId: 'onWebhookTest',
        schema: ref('WebhookTestEvent'),
        examples: { test: testEvent },
      }),
    },
  };
}

function message(summary: string, end: 'succeeded' | 'failed' | 'canceled'): PathItem {
  const example = events[end];
  const operationId = `onCheck${end[0]?.toUpperCase()}${end.slice(1)}`;
  const examples = { ...(example && { [end]: example }) };
  return { post: describe(summary, { operationId, schema: ref('WebhookCheckEvent'), examples }) };
}

function describe(
  summary: string,
  body: { operationId: string; schema: Schema; examples: Record<string, { value: unknown }> },
): Operation {
  const { operationId, ...json } = body;
  return {
    operationId,
    tags: ['Webhooks'],
    summary,
    // The message is signed; it needs no credentials of the receiver.
    security: [],
    parameters: signature,
    requestBody: { required: true, content: { 'application/json': json } },
    responses,
  };
}

const header = (name: string, description: string, pattern: string): Parameter => ({
  name,
  in: 'header',
  required: true,
  description,
  schema: { type: 'string', pattern },
});

const signature = [
  header('webhook-id', 'The same in all attempts.', '^msg_[0-9a-f]{32}$'),
  header('webhook-timestamp', 'The time of this attempt, in seconds since the epoch.', '^[0-9]+$'),
  header(
    'webhook-signature',
    'HMAC-SHA256 of id, timestamp and body; one for each secret in force.',
    '^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=)*$',
  ),
];
