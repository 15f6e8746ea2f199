import { isErrorCode } from '@livegate/core/domain';
import type { createNoteFailure } from '@livegate/core/telemetry';
import type { RequestHandler } from 'express';

const checkRoutes = new Set(['/face/v1/passive-liveness', '/sessions/:sid/photo']);

export interface ObserveTenants {
  /** Counts each request for a check, and notes the id of each request that failed. */
  observe: RequestHandler;
  /** Requests for a check since the start of this process, refused ones too. */
  counts(): Record<string, number>;
}

/** Counts what metrics cannot count: a label for each tenant would be a time series for each. */
export function createObserveTenants(
  noteFailure: ReturnType<typeof createNoteFailure>,
): ObserveTenants {
  const byTenant = new Map<string, number>();

  return {
    observe(req, res, next) {
      res.once('close', () => {
        const { locals } = res;
        const { outcome, requestId: id, isCheck = false } = locals;
        const path = (req.route as { path?: unknown } | undefined)?.path;
        if (typeof path !== 'string') return;
        const tenant = locals.credential?.tenant ?? locals.tenant;
        if (tenant !== undefined && req.method === 'POST' && checkRoutes.has(req.baseUrl + path)) {
          byTenant.set(tenant, (byTenant.get(tenant) ?? 0) + 1);
        }
        if (isErrorCode(outcome) && outcome !== 'canceled') {
          noteFailure({ code: outcome, id, isCheck });
        }
      });
      next();
    },
    counts: () => Object.fromEntries(byTenant),
  };
}
