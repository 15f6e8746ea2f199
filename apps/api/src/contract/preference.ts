import type { Request } from 'express';

/** What a caller prefers (RFC 7240). */
export interface Preference {
  /** It need not be kept waiting: a job resource will do. */
  respondAsync: boolean;
  /** How long it would wait, in milliseconds, the server's limit applied; absent if it did not say. */
  waitMs?: number;
}

/** Unknown preferences are ignored, as the RFC wants; of two equal ones the first counts. */
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

/** How long this caller is kept waiting, in milliseconds; 0 if a job resource will do at once. */
export function waitOf({ respondAsync, waitMs }: Preference, waitLimitMs: number): number {
  return waitMs ?? (respondAsync ? 0 : waitLimitMs);
}

/** For `Preference-Applied`; `undefined` if nothing was preferred. */
export function presentPreference({ respondAsync, waitMs }: Preference): string | undefined {
  const applied = [
    ...(respondAsync ? ['respond-async'] : []),
    ...(waitMs === undefined ? [] : [`wait=${Math.floor(waitMs / 1000)}`]),
  ];
  return applied.join(', ') || undefined;
}
