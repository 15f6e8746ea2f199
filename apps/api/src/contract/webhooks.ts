import {
  checkEventTypes,
  type Delivery,
  type DeliveryAttempt,
  type DeliveryFailure,
  type DeliveryStatus,
  SESSION_FINISHED,
  type WebhookEndpoint,
  webhookEventTypes,
  type WebhookMessageType,
} from '@livegate/core/domain';
import { z } from 'zod';
import { jobSchema, timeSchema } from './answer-schemas.js';
import { sessionSchema } from './sessions.js';

/** In characters. */
export const MAX_WEBHOOK_URL_LENGTH = 2048;

export const changesSchema = z.strictObject({
  url: z.string().optional(),
  events: z
    .array(z.enum(webhookEventTypes))
    .min(1)
    .transform((events) => [...new Set(events)])
    .optional(),
  description: z.string().max(256).nullable().optional(),
  enabled: z.boolean().optional(),
});
export const creationSchema = changesSchema
  .omit({ enabled: true })
  .required({ url: true, events: true });

const DAY_SECONDS = 24 * 60 * 60;

export const rotationSchema = z.strictObject({
  overlap_seconds: z
    .int()
    .min(0)
    .max(7 * DAY_SECONDS)
    .default(DAY_SECONDS),
});

export const endpointSchema = z.object({
  id: z.string().regex(/^whe_[0-9a-f]{32}$/),
  url: z.url(),
  events: z.array(z.enum(webhookEventTypes)),
  description: z.string().nullable(),
  enabled: z.boolean(),
  disabled_reason: z
    .enum(['gone', 'requested'])
    .nullable()
    .describe('`gone`: your receiver answered 410; `requested`: you switched it off.'),
  created_at: timeSchema,
});

const secretSchema = z
  .string()
  .regex(/^whsec_[\w+/]{43}=$/)
  .describe('Shown only once.');

export const createdEndpointSchema = endpointSchema.extend({ secret: secretSchema });

export const endpointsSchema = z.object({ endpoints: z.array(endpointSchema) });

export const rotatedSecretSchema = z.object({
  secret: secretSchema,
  previous_secret_expires_at: timeSchema
    .nullable()
    .describe('Until then, messages are also signed with the previous secret.'),
});

export const rotatedEndpointSecretSchema = rotatedSecretSchema.extend({
  id: endpointSchema.shape.id,
});

const messageTypeSchema = z.enum([
  ...webhookEventTypes,
  'webhook.test',
]) satisfies z.ZodType<WebhookMessageType>;

export const deliverySchema = z.object({
  id: z
    .string()
    .regex(/^msg_[0-9a-f]{32}$/)
    .describe('The `webhook-id` of the message.'),
  type: messageTypeSchema,
  status: z.enum(['pending', 'succeeded', 'failed']) satisfies z.ZodType<DeliveryStatus>,
  failure: (
    z.enum([
      'attempts_exhausted',
      'endpoint_deleted',
      'endpoint_disabled',
      'endpoint_gone',
      'secret_missing',
      'too_many_pending',
    ]) satisfies z.ZodType<DeliveryFailure>
  )
    .nullable()
    .describe('Why no further attempt follows.'),
  created_at: timeSchema,
  next_attempt_at: timeSchema.nullable(),
  attempts: z
    .array(
      z.object({
        at: timeSchema,
        latency_ms: z.int().min(0),
        status_code: z.int().nullable(),
        error: z.string().nullable().describe('Why there is no status code.'),
        response_excerpt: z
          .string()
          .nullable()
          .describe('The first kilobyte of your answer; for the latest attempt only.'),
      }),
    )
    .describe('The latest 30, oldest first.'),
});

export const deliveriesSchema = z.object({ deliveries: z.array(deliverySchema) });

export const checkEventSchema = z.object({
  type: z.enum(checkEventTypes),
  timestamp: timeSchema,
  data: jobSchema,
});

export const sessionEventSchema = z.object({
  type: z.literal(SESSION_FINISHED),
  timestamp: timeSchema,
  data: sessionSchema,
});

export const testEventSchema = z.object({
  type: z.literal('webhook.test'),
  timestamp: timeSchema,
  data: z.object({ endpoint_id: endpointSchema.shape.id }),
});

/** An endpoint as callers see it: without its secrets. Times are RFC 3339, in UTC. */
export function presentEndpoint(endpoint: WebhookEndpoint): z.output<typeof endpointSchema> {
  return {
    id: endpoint.id,
    url: endpoint.url,
    events: endpoint.events,
    description: endpoint.description ?? null,
    enabled: endpoint.enabled,
    disabled_reason: endpoint.disabledReason ?? null,
    created_at: presentTime(endpoint.createdAt),
  };
}

/** An entry of the delivery log. Without the payload: the verdict is read from the job. */
export function presentDelivery(delivery: Delivery): z.output<typeof deliverySchema> {
  return {
    id: delivery.id,
    type: delivery.type,
    status: delivery.status,
    failure: delivery.failure ?? null,
    created_at: presentTime(delivery.createdAt),
    next_attempt_at: presentTimeOrNull(delivery.nextAttemptAt),
    attempts: delivery.attempts.map(presentAttempt),
  };
}

function presentAttempt(attempt: DeliveryAttempt) {
  return {
    at: presentTime(attempt.at),
    latency_ms: Math.round(attempt.latencyMs),
    status_code: attempt.statusCode ?? null,
    error: attempt.error ?? null,
    response_excerpt: attempt.responseExcerpt ?? null,
  };
}

export function presentTimeOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : presentTime(ms);
}

function presentTime(ms: number): string {
  return new Date(ms).toISOString();
}
