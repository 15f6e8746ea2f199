import { LivegateError } from '@livegate/core';
import type { Request, RequestHandler } from 'express';
import type { CredentialBook } from './credentials/credential-book.js';
import type { Permission } from './credentials/credential-file.js';
import { hashSecret, matchesHash } from './credentials/hash-secret.js';

/** HTTP Basic and x-api-key, both of one credential. Throws `unauthorized` or `forbidden`. */
export function authenticate(book: CredentialBook, permission: Permission): RequestHandler {
  return (req, res, next) => {
    const { username, password } = readBasic(req);
    const credential = book.find(username);
    // An unknown name costs the same work as a known one, and both secrets are always compared.
    const { password_sha256, api_key_sha256 } = credential ?? nobody;
    const passwordMatches = matchesHash(password, password_sha256);
    const apiKeyMatches = matchesHash(req.get('x-api-key') ?? '', api_key_sha256);
    if (!credential || !passwordMatches || !apiKeyMatches) throw new LivegateError('unauthorized');
    if (!credential.permissions.includes(permission)) throw new LivegateError('forbidden');
    res.locals.credential = credential;
    next();
  };
}

const nobody = { password_sha256: hashSecret(''), api_key_sha256: hashSecret('') };

/** RFC 7617; the password may contain colons. Anything unreadable is nobody's. */
function readBasic(req: Request): { username: string; password: string } {
  const [, encoded = ''] = /^basic +([\w+/=-]+)$/i.exec(req.get('authorization') ?? '') ?? [];
  const [username = '', ...rest] = Buffer.from(encoded, 'base64').toString().split(':');
  return { username, password: rest.join(':') };
}
