import { describeError, describeTrace, type Log } from '@livegate/core/telemetry';
import type { Request, RequestHandler, Response } from 'express';
import { pinoHttp } from 'pino-http';

/** One line per request. No header, query or body is in it: they hold secrets and faces. */
export function logRequests(log: Log): RequestHandler {
  return pinoHttp<Request, Response>({
    logger: log,
    autoLogging: { ignore: isProbe },
    serializers: {
      err: describeError,
      req: ({ method, url }: { method: string; url: string }) => ({ method, path: pathOf(url) }),
      res: ({ statusCode }: { statusCode: number }) => ({ statusCode }),
    },
    customLogLevel: (_req, res, error) => (error || isOurFault(res) ? 'error' : 'info'),
    customSuccessObject: (req, res, line: object) => ({ ...line, ...describeRequest(req, res) }),
    // pino-http takes every 5xx for an error, and makes one up where there is none.
    // oxlint-disable-next-line eslint/max-params -- pino-http passes the error, too
    customErrorObject: (req, res, error, line: object) => ({
      ...line,
      err: isOurFault(res) ? error : undefined,
      ...describeRequest(req, res),
    }),
    customErrorMessage: (_req, res) => (isOurFault(res) ? 'request errored' : 'request completed'),
  });
}

/** Not 4xx, nor what the caller asked for, such as a wait of its own that ran out. */
export function isOurFault({ statusCode, locals }: Response): boolean {
  return statusCode >= 500 && !locals.isCallersChoice;
}

function describeRequest(req: Request, { locals }: Response) {
  return {
    requestId: locals.requestId,
    callerRequestId: req.get('x-request-id'),
    tenant: locals.credential?.tenant,
    outcome: locals.outcome,
    timings: locals.timings,
    // The line is written when the answer has been sent, in no trace's context any more.
    ...describeTrace(locals.span?.spanContext()),
  };
}

function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? '';
}

const probes = new Set(['/livez', '/readyz']);

/** Asked every few seconds, for ever: neither logged nor traced. */
export function isProbe({ path }: Request): boolean {
  return probes.has(path);
}
