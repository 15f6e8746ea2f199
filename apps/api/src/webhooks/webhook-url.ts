import { isIP } from 'node:net';
import { LivegateError } from '@livegate/core/domain';
import type { WebhookStore } from '@livegate/core/ports';
import { MAX_WEBHOOK_URL_LENGTH } from '../contract/webhooks.js';
import type { Credential } from '../credentials/credential-book.js';
import type { AddressGuard } from './address-guard.js';

export interface WebhookUrlRules {
  /** Plain http is for development. */
  httpsOnly: boolean;
  guard: AddressGuard;
}

/**
 * Throws `webhook_url_refused` for problems of the URL itself; the guard checks the addresses of a name
 * on each connect. The URL parser has normalized every spelling of an IPv4 address (decimal, octal,
 * hex, short).
 */
export function requireWebhookUrl(text: string, { httpsOnly, guard }: WebhookUrlRules): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || text.length > MAX_WEBHOOK_URL_LENGTH) throw refused('it is not a URL');
  const schemes = httpsOnly ? ['https:'] : ['https:', 'http:'];
  if (!schemes.includes(url.protocol)) throw refused(`it must begin with ${schemes[0]}//`);
  if (url.username || url.password) throw refused('it must not contain credentials');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) !== 0) guard.requireAddress(host);
  url.hash = '';
  return url;
}

function refused(why: string): LivegateError {
  const publicMessage = `webhooks are not delivered to this URL: ${why}`;
  return new LivegateError('webhook_url_refused', { publicMessage });
}

/**
 * Validates the `webhook_url` of a request and resolves with its normalized form. Throws `forbidden`,
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

/** Whether a tenant has an enabled endpoint. */
export type HasEndpoints = (tenant: string) => Promise<boolean>;

export function createHasEndpoints(store: WebhookStore): HasEndpoints {
  return async (tenant) => {
    const endpoints = await store.listEndpoints(tenant);
    return endpoints.some(({ enabled }) => enabled);
  };
}
