import { isIP } from 'node:net';
import { LivegateError } from '@livegate/core';
import type { AddressGuard } from './guard-address.js';

export const MAX_URL_LENGTH = 2048;

export interface WebhookUrlRules {
  /** Plain http is for development. */
  httpsOnly: boolean;
  guard: AddressGuard;
}

/**
 * Throws `webhook_url_refused` for what can be told from the URL alone; the addresses behind a name
 * are the guard's, at each connect. The URL parser has turned every spelling of an IPv4 address
 * (decimal, octal, hex, short) into the usual one.
 */
export function requireWebhookUrl(text: string, { httpsOnly, guard }: WebhookUrlRules): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || text.length > MAX_URL_LENGTH) throw refused('it is not a URL');
  const schemes = httpsOnly ? ['https:'] : ['https:', 'http:'];
  if (!schemes.includes(url.protocol)) throw refused(`it must begin with ${schemes[0]}//`);
  if (url.username || url.password) throw refused('it must not hold credentials');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) !== 0) guard.requireAddress(host);
  url.hash = '';
  return url;
}

function refused(why: string): LivegateError {
  const publicMessage = `webhooks are not delivered to this URL: ${why}`;
  return new LivegateError('webhook_url_refused', { publicMessage });
}
