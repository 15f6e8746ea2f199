import { createRequire } from 'node:module';
import type { Express, Request } from 'express';

const require = createRequire(import.meta.url);

/** A value of Express's `trust proxy`: addresses, ranges and their names, or the number of proxies. */
export type TrustedProxies = string | number;

/** Throws an Error that says what is wrong with the text. */
export function parseTrustedProxies(text: string): TrustedProxies {
  const value = /^\d+$/.test(text) ? Number(text) : text;
  try {
    if (value === 0) throw new Error('to trust no proxy, leave it unset');
    // Loaded only here: `npm start` reads the settings as well, and seldom has this one.
    const express = require('express') as () => Express;
    express().set('trust proxy', value);
    return value;
  } catch (cause) {
    throw new Error(
      'expected loopback, linklocal, uniquelocal, addresses and CIDR ranges, separated by commas, ' +
        `or the number of proxies, not "${text}"`,
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
 * The URL at which this caller reaches the service, without a trailing slash: as configured, else from
 * `X-Forwarded-Proto`, `-Host` and `-Prefix` of trusted proxies, else from the request. Without a valid
 * host it is only the path prefix, so that links are relative to the host they are read from.
 */
export function baseUrlOf(req: Request, publicUrl: string | undefined): string {
  return publicUrl ?? originOf(req) + forwardedPrefixOf(req);
}

/** The path of the base URL; empty if the service is at the root. */
export function basePathOf(req: Request, publicUrl: string | undefined): string {
  if (publicUrl === undefined) return forwardedPrefixOf(req);
  return new URL(publicUrl).pathname.replace(/\/$/, '');
}

const PROTOCOL = /^https?$/i;
/** A name of at most 253 characters or an IP address, and an optional port. */
const HOST = /^(?:[\w.-]{1,253}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?$/i;
/** Segments of a path, none of them "." or "..". */
const PREFIX = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~%-]+)+$/;
const MAX_PREFIX_LENGTH = 200;

function originOf({ protocol, host }: Request): string {
  if (!PROTOCOL.test(protocol) || !HOST.test(host ?? '')) return '';
  const origin = `${protocol}://${host}`.toLowerCase();
  return URL.canParse(origin) ? origin : '';
}

/** Each of several proxies may have stripped a part of the path. */
function forwardedPrefixOf(req: Request): string {
  const trust = req.app.get('trust proxy fn') as (address: string, hop: number) => boolean;
  if (!trust(req.socket.remoteAddress ?? '', 0)) return '';
  const parts = (req.get('x-forwarded-prefix') ?? '').split(',');
  const prefix = parts.map((part) => part.trim().replace(/\/+$/, '')).join('');
  return prefix.length <= MAX_PREFIX_LENGTH && PREFIX.test(prefix) ? prefix : '';
}
