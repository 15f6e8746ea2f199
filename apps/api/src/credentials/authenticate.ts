import { LivegateError } from '@livegate/core/domain';
import type { RateLimiter } from '@livegate/core/ports';
import type { Request, RequestHandler } from 'express';
import {
  type Credential,
  type CredentialBook,
  hashSecret,
  isExpired,
  matchesHash,
  type Permission,
} from './credential-book.js';

declare global {
  // oxlint-disable-next-line typescript/no-namespace -- Express has no other way to type it
  namespace Express {
    interface Locals {
      /** The caller's credential; set by `authenticate`. */
      credential: Credential;
    }
  }
}

/** Requires HTTP Basic and x-api-key of one credential. Throws `unauthorized` or `forbidden`. */
export function authenticate(book: CredentialBook, permission: Permission): RequestHandler {
  return (req, res, next) => {
    const { credential, api_key_sha256 } = findByPassword(req, book);
    const apiKeyMatches = matchesHash(req.get('x-api-key') ?? '', api_key_sha256);
    res.locals.credential = requirePermission(apiKeyMatches ? credential : undefined, permission);
    book.recordUse?.(res.locals.credential.username);
    next();
  };
}

/**
 * Requires HTTP Basic only, for a page: browsers prompt for it and cannot send an x-api-key. The
 * password is as long as the key, so it is no easier to guess.
 */
export function authenticatePage(book: CredentialBook, permission: Permission): RequestHandler {
  return (req, res, next) => {
    res.locals.credential = requirePermission(findByPassword(req, book).credential, permission);
    book.recordUse?.(res.locals.credential.username);
    next();
  };
}

/** The same without an error, for a request that stays open. */
export function createIsPermitted(book: CredentialBook, permission: Permission) {
  return (req: Request): boolean =>
    findByPassword(req, book).credential?.permissions.includes(permission) ?? false;
}

function findByPassword(req: Request, book: CredentialBook) {
  const { username, password } = readBasic(req);
  const named = book.find(username);
  // An unknown name takes as long as a known one, and both secrets are always compared.
  const { password_sha256, api_key_sha256 } = named ?? noCredential;
  // An expired credential is answered like a wrong one, after the same comparisons.
  const isRight = matchesHash(password, password_sha256) && !isExpired(named, Date.now());
  const credential = isRight ? named : undefined;
  return { credential, api_key_sha256 };
}

function requirePermission(credential: Credential | undefined, permission: Permission): Credential {
  if (!credential) throw new LivegateError('unauthorized');
  if (!credential.permissions.includes(permission)) throw new LivegateError('forbidden');
  return credential;
}

const noCredential = { password_sha256: hashSecret(''), api_key_sha256: hashSecret('') };

/** RFC 7617; the password may contain colons. A malformed header gives a username that nobody has. */
function readBasic(req: Request): { username: string; password: string } {
  const [, encoded = ''] = /^basic +([\w+/=-]+)$/i.exec(req.get('authorization') ?? '') ?? [];
  const [username = '', ...rest] = Buffer.from(encoded, 'base64').toString().split(':');
  return { username, password: rest.join(':') };
}

/** Throws `rate_limited` for a tenant over its rate, counted across all gateways. */
export function limitRate(limiter: RateLimiter, defaultPerMinute: number): RequestHandler {
  return async (_req, res, next) => {
    const { tenant, rate_limit_per_minute } = res.locals.credential;
    await limiter.consume(tenant, rate_limit_per_minute ?? defaultPerMinute);
    next();
  };
}

/**
 * The same for requests that start no check, such as reads of a job. They have a budget of their own,
 * so that polling does not use up the rate of checks. No tenant name contains a colon.
 */
export function limitOtherRequests(limiter: RateLimiter, defaultPerMinute: number): RequestHandler {
  return async (_req, res, next) => {
    const { tenant, other_requests_per_minute } = res.locals.credential;
    const perMinute = other_requests_per_minute ?? defaultPerMinute;
    await limiter.consume(`other:${tenant}`, perMinute).catch(goOnIfFull);
    next();
  };
}

/** A full Redis cannot count. Reads need no memory, and deletions free some. */
function goOnIfFull(error: unknown): void {
  if (!(error instanceof LivegateError) || error.code !== 'overloaded') throw error;
}
