import { LivegateError, type WebhookStore } from '@livegate/core';
import type { Credential } from '../credentials/credential-file.js';
import { requireWebhookUrl, type WebhookUrlRules } from './webhook-url.js';

/**
 * Resolves to the `webhook_url` of a request as it is kept. Throws `forbidden`,
 * `webhook_url_refused` or `webhook_secret_missing`.
 */
export type AcceptWebhookUrl = (url: string, credential: Credential) => Promise<string>;

export function createAcceptWebhookUrl(
  urlRules: WebhookUrlRules,
  store: WebhookStore,
): AcceptWebhookUrl {
  return async (url, { tenant, permissions }) => {
    if (!permissions.includes('webhook-url')) throw new LivegateError('forbidden');
    const { href } = requireWebhookUrl(url, urlRules);
    const secrets = await store.readTenantSecrets(tenant);
    if (secrets.length === 0) throw new LivegateError('webhook_secret_missing');
    return href;
  };
}

/** Whether a tenant has an endpoint that takes messages now. */
export type HasEndpoints = (tenant: string) => Promise<boolean>;

export function createHasEndpoints(store: WebhookStore): HasEndpoints {
  return async (tenant) => {
    const endpoints = await store.listEndpoints(tenant);
    return endpoints.some(({ enabled }) => enabled);
  };
}
