import type { Delivery, DeliveryAttempt, WebhookEndpoint } from '@livegate/core';
import type { z } from 'zod';
import type { deliverySchema, endpointSchema } from '../openapi/webhook-schemas.js';

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

/** A line of the log, without the payload: its verdict belongs to the job. */
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
