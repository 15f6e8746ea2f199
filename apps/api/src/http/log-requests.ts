import { describeError, describeTrace, type Log } from '@livegate/core/telemetry';
import type { Request, RequestHandler, Response } from 'express';
import { pinoHttp } from 'pino-http';

/** Logs one line per request, without headers, query or body: they contain secrets and faces. */
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
    customSuccessObject: (_req, res, line: object) => ({ ...line, ...describeRequest(res) }),
    // pino-http treats every 5xx as an error, and creates an Error if there is none.
    // oxlint-disable-next-line eslint/max-params -- pino-http passes the error, too
    customErrorObject: (_req, res, error, line: object) => ({
      ...line,
      err: isOurFault(res) ? error : undefined,
      ...describeRequest(res),
    }),
    customErrorMessage: (_req, res) => (isOurFault(res) ? 'request failed' : 'request completed'),
  });
}

/** False for a 5xx that the caller asked for, such as the end of a `Prefer: wait`. */
export function isOurFault({ statusCode, locals }: Response): boolean {
  return statusCode >= 500 && !locals.isCallersChoice;
}

function describeRequest({ locals }: Response) {
  return {
    requestId: locals.requestId,
    callerRequestId: locals.callersId,
    tenant: locals.credential?.tenant,
    outcome: locals.outcome,
    timings: locals.timings,
    // The line is written after the answer was sent, outside the context of the trace.
    ...describeTrace(locals.span?.spanContext()),
  };
}

/** Of a session's sid, which is a credential, only the first characters are logged. */
function pathOf(url: string): string {
  const [path = ''] = url.split('?', 1);
  return path.replaceAll(/(?<=\/[A-Za-z0-9]{6})[A-Za-z0-9]{26}(?=\/|$)/g, '…');
}

const probes = new Set(['/livez', '/readyz']);

/** Probes arrive every few seconds: they are neither logged nor traced. */
export function isProbe({ path }: Request): boolean {
  return probes.has(path);
}
