import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** The session that issues a token. */
export interface TokenSigner {
  sid: string;
  tokenKey: string;
}

/**
 * A token for one photo, which the page gets with the session's state. Nothing is stored until it
 * is used: it is signed with a key of the session.
 */
export function issueToken(session: TokenSigner): string {
  return writeToken(randomBytes(12).toString('base64url'), session);
}

/** Whether this session issued the token, used or not. */
export function isOwnToken(session: TokenSigner, token: string): boolean {
  const [nonce] = token.split('.', 1) as [string];
  // The whole token, since a used one is recognized by its text.
  const expected = Buffer.from(writeToken(nonce, session));
  const given = Buffer.from(token);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function writeToken(nonce: string, { sid, tokenKey }: TokenSigner): string {
  const signature = createHmac('sha256', tokenKey).update(`${sid} ${nonce}`).digest('base64url');
  return `${nonce}.${signature.slice(0, 22)}`;
}
