import express, { type Request } from 'express';

/** What Express's `trust proxy` knows: addresses, ranges and their names, or how many proxies. */
export type TrustedProxies = string | number;

/** Throws an Error that says what is wrong with the text. */
export function parseTrustedProxies(text: string): TrustedProxies {
  const value = /^\d+$/.test(text) ? Number(text) : text;
  try {
    if (value === 0) throw new Error('nobody is trusted while it is unset');
    express().set('trust proxy', value);
    return value;
  } catch (cause) {
    throw new Error(
      'expected loopback, linklocal, uniquelocal, addresses and CIDR ranges, separated by commas, ' +
        `or how many proxies there are, not "${text}"`,
      { cause },
    );
  }
}

/** Throws an Error that says what is wrong with the text. */
export function parsePublicUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isBase = url && /^https?:$/.test(url.protocol) && url.href === url.origin + url.pathname;
  if (!isBase) throw new Error('expected http:// or https://, a host, and at most a path');
  return url.href.replace(/\/+$/, '');
}

/**
 * Where this caller reaches the service, without a slash at its end: as configured, else as trusted
 * proxies say in `X-Forwarded-Proto`, `-Host` and `-Prefix`, else as the request says. Where they say
 * nothing that makes a URL, it is only the path before ours, and a link relative to where it was read.
 */
export function baseUrlOf(req: Request, publicUrl: string | undefined): string {
  return publicUrl ?? originOf(req) + forwardedPrefixOf(req);
}

/** The path of the base URL; empty where the service is at the root. */
export function basePathOf(req: Request, publicUrl: string | undefined): string {
  if (publicUrl === undefined) return forwardedPrefixOf(req);
  return new URL(publicUrl).pathname.replace(/\/$/, '');
}

const PROTOCOL = /^https?$/i;
/** A name, an IPv4 or an IPv6 address, and a port. A name has 253 characters at most. */
const HOST = /^(?:[\w.-]{1,253}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?$/i;
/** Segments of a path, none of them "." or "..". */
const PREFIX = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~%-]+)+$/;
const MAX_PREFIX_LENGTH = 200;

function originOf({ protocol, host }: Request): string {
  if (!PROTOCOL.test(protocol) || !HOST.test(host ?? '')) return '';
  const origin = `${protocol}://${host}`.toLowerCase();
  return URL.canParse(origin) ? origin : '';
}

/** Several proxies may each have taken a part of the path. */
function forwardedPrefixOf(req: Request): string {
  const trust = req.app.get('trust proxy fn') as (address: string, hop: number) => boolean;
  if (!trust(req.socket.remoteAddress ?? '', 0)) return '';
  const parts = (req.get('x-forwarded-prefix') ?? '').split(',');
  const prefix = parts.map((part) => part.trim().replace(/\/+$/, '')).join('');
  return prefix.length <= MAX_PREFIX_LENGTH && PREFIX.test(prefix) ? prefix : '';
}
