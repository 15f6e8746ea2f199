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
export function issueToken({ sid, tokenKey }: TokenSigner): string {
  const nonce = randomBytes(12).toString('base64url');
  return `${nonce}.${sign(nonce, { sid, tokenKey })}`;
}

/** Whether this session issued the token, used or not. */
export function isOwnToken(session: TokenSigner, token: string): boolean {
  const [nonce = '', signature = ''] = token.split('.', 2);
  const expected = Buffer.from(sign(nonce, session));
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function sign(nonce: string, { sid, tokenKey }: TokenSigner): string {
  return createHmac('sha256', tokenKey).update(`${sid} ${nonce}`).digest('base64url').slice(0, 22);
}
