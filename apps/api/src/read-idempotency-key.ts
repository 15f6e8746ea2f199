import { LivegateError } from '@livegate/core';
import type { Request } from 'express';

/**
 * The caller's Idempotency-Key: a quoted string as in the IETF draft, or bare as most clients send
 * it. Throws `invalid_idempotency_key`.
 */
export function readIdempotencyKey(req: Request): string | undefined {
  const header = req.get('idempotency-key');
  if (header === undefined) return undefined;
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) throw new LivegateError('invalid_idempotency_key');
  return key;
}
