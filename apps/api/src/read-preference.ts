import type { Request } from 'express';

/** What a caller prefers (RFC 7240). */
export interface Preference {
  /** It need not be kept waiting: a job resource will do. */
  respondAsync: boolean;
  /** How long it waits for the outcome, in milliseconds; the server's limit is already applied. */
  waitMs: number;
  /** For `Preference-Applied`; empty if nothing was asked for. */
  applied: string;
}

/** Unknown preferences are ignored, as the RFC wants; of two equal ones the first counts. */
export function readPreference(req: Request, waitLimitMs: number): Preference {
  const tokens = (req.get('prefer') ?? '').split(',').map((token) => token.trim().toLowerCase());
  const respondAsync = tokens.some((token) => /^respond-async(\s*;|$)/.test(token));
  const wait = tokens
    .map((token) => /^wait\s*=\s*"?(\d{1,9})"?\s*(;|$)/.exec(token)?.[1])
    .find(Boolean);
  const waitMs = Math.min(wait === undefined ? Infinity : Number(wait) * 1000, waitLimitMs);
  const applied = [
    ...(respondAsync ? ['respond-async'] : []),
    ...(wait === undefined ? [] : [`wait=${Math.floor(waitMs / 1000)}`]),
  ];
  return {
    respondAsync,
    waitMs: respondAsync && wait === undefined ? 0 : waitMs,
    applied: applied.join(', '),
  };
}
