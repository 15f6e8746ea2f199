import type { Span } from '@opentelemetry/api';
import type { RequestHandler } from 'express';
import { v7 as uuidv7 } from 'uuid';

/**
 * Names the request. The caller's own x-request-id is only echoed and logged: callers send
 * constants, and what one tenant chooses must not collide with another's.
 */
export const identifyRequest: RequestHandler = (req, res, next) => {
  res.locals.requestId = uuidv7();
  res.locals.receivedAt = performance.now();
  res.set('Request-Id', res.locals.requestId);
  const callersId = req.get('x-request-id');
  if (callersId) res.set('x-request-id', callersId);
  next();
};

/** SDKs join base URL and path with "/": a base URL that ends in one gives "//face/v1/…". */
export const collapseSlashes: RequestHandler = (req, _res, next) => {
  req.url = req.url.replace(/^\/{2,}/, '/');
  next();
};

/** What the middlewares of one request tell each other. */
declare global {
  // oxlint-disable-next-line typescript/no-namespace -- Express has no other way to type it
  namespace Express {
    interface Locals {
      /** The `Request-Id`, which is also the id of the check. */
      requestId: string;
      /** `performance.now()` when the request's head had been read. */
      receivedAt: number;
      /** Of the request, for its log line; probes have none. */
      span?: Span;
      /** For the log: `verdict`, the status of a job, or an error code. */
      outcome?: string;
      /** For metrics only: a log would keep the class of a check that is deleted. */
      verdict?: string;
      /** For log and telemetry: the caller asked for this end, though its status is 5xx. */
      isCallersChoice?: boolean;
      /** For the log: how long each stage took, in milliseconds. */
      timings?: Record<string, number>;
    }
  }
}
