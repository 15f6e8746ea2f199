import {
  LivegateError,
  qualityPolicies,
  type QualityPolicy,
  strongestPolicy,
} from '@livegate/core/domain';
import type { Request } from 'express';

/** The caller's `Prefer` header (RFC 7240). */
export interface Preference {
  /** The caller accepts a job resource instead of the verdict. */
  respondAsync: boolean;
  /** How long the caller would wait, capped at the server's limit; absent if not given. */
  waitMs?: number;
}

/** Ignores unknown preferences, as the RFC requires; of repeated ones the first counts. */
export function readPreference(req: Request, waitLimitMs: number): Preference {
  const tokens = (req.get('prefer') ?? '').split(',').map((token) => token.trim().toLowerCase());
  const [wait] = tokens.flatMap(
    (token) => /^wait\s*=\s*"?(\d{1,9})"?\s*(?:;|$)/.exec(token)?.[1] ?? [],
  );
  return {
    respondAsync: tokens.some((token) => /^respond-async\s*(;|$)/.test(token)),
    ...(wait !== undefined && { waitMs: Math.min(Number(wait) * 1000, waitLimitMs) }),
  };
}

/** How long this caller waits, in milliseconds; 0 for an immediate job resource. */
export function waitOf({ respondAsync, waitMs }: Preference, waitLimitMs: number): number {
  return waitMs ?? (respondAsync ? 0 : waitLimitMs);
}

/** The value of `Preference-Applied`; `undefined` if there is none. */
export function presentPreference({ respondAsync, waitMs }: Preference): string | undefined {
  const applied = [
    ...(respondAsync ? ['respond-async'] : []),
    ...(waitMs === undefined ? [] : [`wait=${Math.floor(waitMs / 1000)}`]),
  ];
  return applied.join(', ') || undefined;
}

/** The name of the request header with the policy, and of the response header with the codes. */
export const QUALITY_HEADER = 'Livegate-Quality';

/**
 * The stronger of the request's header and the credential's setting: a request cannot weaken what its
 * credential demands. Throws `invalid_quality_policy`, because a misspelt `enforce` that was ignored
 * would let weak images pass.
 */
export function readQualityPolicy(
  req: Request,
  ofCredential: QualityPolicy | undefined,
): QualityPolicy {
  const asked = req.get(QUALITY_HEADER)?.trim().toLowerCase();
  if (asked !== undefined && !isPolicy(asked)) throw new LivegateError('invalid_quality_policy');
  return strongestPolicy(asked, ofCredential);
}

function isPolicy(text: string): text is QualityPolicy {
  return (qualityPolicies as readonly string[]).includes(text);
}

/**
 * The caller's Idempotency-Key: quoted as in the IETF draft, or unquoted as most clients send it.
 * Throws `invalid_idempotency_key`.
 */
export function readIdempotencyKey(req: Request): string | undefined {
  const header = req.get('idempotency-key');
  if (header === undefined) return undefined;
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) throw new LivegateError('invalid_idempotency_key');
  return key;
}
