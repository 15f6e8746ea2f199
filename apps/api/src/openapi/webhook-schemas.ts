import {
  webhookEventTypes,
  type DeliveryFailure,
  type DeliveryStatus,
  type WebhookMessageType,
} from '@livegate/core';
import { z } from 'zod';
import { jobSchema, timeSchema } from './answer-schemas.js';

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
  .describe('Shown this once.');

export const createdEndpointSchema = endpointSchema.extend({ secret: secretSchema });

export const endpointsSchema = z.object({ endpoints: z.array(endpointSchema) });

export const rotatedSecretSchema = z.object({
  secret: secretSchema,
  previous_secret_expires_at: timeSchema
    .nullable()
    .describe('Until then the secret before signs, too.'),
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
    ]) satisfies z.ZodType<DeliveryFailure>
  )
    .nullable()
    .describe('Why no attempt follows.'),
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
          .describe('The first kilobyte of your answer; of the latest attempt only.'),
      }),
    )
    .describe('The latest 30, oldest first.'),
});

export const deliveriesSchema = z.object({ deliveries: z.array(deliverySchema) });

export const checkEventSchema = z.object({
  type: z.enum(webhookEventTypes),
  timestamp: timeSchema,
  data: jobSchema,
});

export const testEventSchema = z.object({
  type: z.literal('webhook.test'),
  timestamp: timeSchema,
  data: z.object({ endpoint_id: endpointSchema.shape.id }),
});
