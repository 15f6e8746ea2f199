import { randomBytes } from 'node:crypto';
import type { CheckStatus } from './check.js';

/** The events at the end of a check. */
export const checkEventTypes = [
  'passive_liveness.completed',
  'passive_liveness.failed',
  'passive_liveness.canceled',
] as const;

export type CheckEventType = (typeof checkEventTypes)[number];

/** The event at the end of a hosted session. */
export const SESSION_FINISHED = 'passive_liveness_session.finished';

/** The events that a webhook endpoint can subscribe to. */
export const webhookEventTypes = [...checkEventTypes, SESSION_FINISHED] as const;

export type WebhookEventType = (typeof webhookEventTypes)[number];

/** `webhook.test` is sent on demand; no endpoint subscribes to it. */
export type WebhookMessageType = WebhookEventType | 'webhook.test';

/** A signing key. Times are milliseconds since the epoch. */
export interface WebhookSecret {
  /** `whsec_` and the base64 of 32 random bytes. */
  secret: string;
  /** Set when a newer secret has replaced this one. */
  expiresAt?: number;
}

/** A URL at which a tenant receives events. */
export interface WebhookEndpoint {
  /** `whe_…` */
  id: string;
  tenant: string;
  url: string;
  events: WebhookEventType[];
  description?: string;
  enabled: boolean;
  /** `gone`: the receiver answered 410; `requested`: the tenant disabled it. */
  disabledReason?: 'gone' | 'requested' | undefined;
  createdAt: number;
  /** Newest first. */
  secrets: WebhookSecret[];
}

const secretBytes = 32;
/** More rotations within one overlap end the oldest secret early. */
const maxSecrets = 5;

export function createWebhookSecret(): WebhookSecret {
  return { secret: `whsec_${randomBytes(secretBytes).toString('base64')}` };
}

/** Puts a new secret first; the one it replaces still signs for `overlapMs`. */
export function rotateSecrets(
  secrets: WebhookSecret[],
  now: number,
  overlapMs: number,
): WebhookSecret[] {
  const replaced = secrets.map((old) => ({ expiresAt: now + overlapMs, ...old }));
  return [createWebhookSecret(), ...activeSecrets(replaced, now)].slice(0, maxSecrets);
}

/** The secrets that sign now. A receiver may have any of them. */
export function activeSecrets(secrets: WebhookSecret[], now: number): WebhookSecret[] {
  return secrets.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now);
}

export function disableEndpoint(
  endpoint: WebhookEndpoint,
  disabledReason: 'gone' | 'requested',
): WebhookEndpoint {
  return { ...endpoint, enabled: false, disabledReason };
}

export function enableEndpoint(endpoint: WebhookEndpoint): WebhookEndpoint {
  return { ...endpoint, enabled: true, disabledReason: undefined };
}

/** The event for a check's final status; `undefined` for an unfinished check. */
export function eventOf(status: CheckStatus): CheckEventType | undefined {
  return eventsOfStatus[status];
}

const eventsOfStatus: Partial<Record<CheckStatus, CheckEventType>> = {
  succeeded: 'passive_liveness.completed',
  failed: 'passive_liveness.failed',
  canceled: 'passive_liveness.canceled',
};
