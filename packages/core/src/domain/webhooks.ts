import { randomBytes } from 'node:crypto';
import type { CheckStatus } from './check.js';

/** What an endpoint can ask to be told of. */
export const webhookEventTypes = [
  'passive_liveness.completed',
  'passive_liveness.failed',
  'passive_liveness.canceled',
] as const;

export type WebhookEventType = (typeof webhookEventTypes)[number];

/** A test is sent on demand only; no endpoint subscribes to it. */
export type WebhookMessageType = WebhookEventType | 'webhook.test';

/** One key that signs. Times are milliseconds since the epoch. */
export interface WebhookSecret {
  /** `whsec_` and the base64 of 32 random bytes. */
  secret: string;
  /** Only a replaced secret has an end. */
  expiresAt?: number;
}

/** Where a tenant wants to be called. */
export interface WebhookEndpoint {
  /** `whe_…` */
  id: string;
  tenant: string;
  url: string;
  events: WebhookEventType[];
  description?: string;
  enabled: boolean;
  /** `gone`: the receiver answered 410; `requested`: the tenant switched it off. */
  disabledReason?: 'gone' | 'requested' | undefined;
  createdAt: number;
  /** The newest first. */
  secrets: WebhookSecret[];
}

const secretBytes = 32;
/** Rotating more often than this within one overlap ends the oldest secret early. */
const maxSecrets = 5;

export function createWebhookSecret(): WebhookSecret {
  return { secret: `whsec_${randomBytes(secretBytes).toString('base64')}` };
}

/** Puts a fresh secret first; the one it replaces goes on signing for `overlapMs`. */
export function rotateSecrets(
  secrets: WebhookSecret[],
  now: number,
  overlapMs: number,
): WebhookSecret[] {
  const replaced = secrets.map((old) => ({ expiresAt: now + overlapMs, ...old }));
  return [createWebhookSecret(), ...activeSecrets(replaced, now)].slice(0, maxSecrets);
}

/** The secrets that sign now; a receiver may know any of them. */
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

/** The event that the end of a check makes; `undefined` while it goes on. */
export function eventOf(status: CheckStatus): WebhookEventType | undefined {
  return eventsOfStatus[status];
}

const eventsOfStatus: Partial<Record<CheckStatus, WebhookEventType>> = {
  succeeded: 'passive_liveness.completed',
  failed: 'passive_liveness.failed',
  canceled: 'passive_liveness.canceled',
};
