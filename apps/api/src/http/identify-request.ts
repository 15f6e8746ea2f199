import type { Span } from '@opentelemetry/api';
import type { RequestHandler } from 'express';
import { v7 as uuidv7 } from 'uuid';

/**
 * Gives the request its id. The caller's own x-request-id is only echoed and logged: callers send
 * constants, and the ids of two tenants must not collide.
 */
export const identifyRequest: RequestHandler = (req, res, next) => {
  res.locals.requestId = uuidv7();
  res.locals.receivedAt = performance.now();
  res.set('Request-Id', res.locals.requestId);
  const callersId = req.get('x-request-id');
  if (callersId !== undefined && CALLERS_ID.test(callersId)) {
    res.locals.callersId = callersId;
    res.set('x-request-id', callersId);
  }
  next();
};

/**
 * Ids that are echoed and logged. Node reads header values as Latin-1 and may write them as UTF-8, so
 * any other id would come back changed.
 */
const CALLERS_ID = /^[\x20-\x7e]{1,1024}$/;

/** SDKs join base URL and path with "/": a base URL with a trailing slash gives "//face/v1/…". */
export const collapseSlashes: RequestHandler = (req, _res, next) => {
  req.url = req.url.replace(/^\/{2,}/, '/');
  next();
};

/** State that the middlewares of one request share. */
declare global {
  // oxlint-disable-next-line typescript/no-namespace -- Express has no other way to type it
  namespace Express {
    interface Locals {
      /** The `Request-Id`, which is also the id of the check. */
      requestId: string;
      /** The caller's own `x-request-id`, if it can be sent back unchanged. */
      callersId?: string;
      /** `performance.now()` when the request's head had been read. */
      receivedAt: number;
      /** The span of the request, for its log line; probes have none. */
      span?: Span;
      /** The tenant of a request without credentials, such as that of a session's page. */
      tenant?: string;
      /** A check with the id of the request has been queued. */
      isCheck?: boolean;
      /** For the log: `verdict`, the status of a job, or an error code. */
      outcome?: string;
      /** For metrics only: a log would keep the verdict of a deleted check. */
      verdict?: string;
      /** For log and telemetry: a 5xx that the caller asked for, such as the end of a `Prefer: wait`. */
      isCallersChoice?: boolean;
      /** For the log: requests that were refused since the last line about refusals. */
      refused?: number;
      /** For the log: how long each stage took, in milliseconds. */
      timings?: Record<string, number>;
    }
  }
}
