import { LivegateError } from '@livegate/core/domain';
import { describeError, describeTrace, type Log } from '@livegate/core/telemetry';
import type { Request, RequestHandler, Response } from 'express';
import { pinoHttp } from 'pino-http';

/** Logs one line per request, without headers, query or body: they contain secrets and faces. */
export function logRequests(log: Log, now = () => performance.now()): RequestHandler {
  const sampleRefusals = createSampleRefusals(now);
  return pinoHttp<Request, Response>({
    logger: log,
    autoLogging: { ignore: isProbe },
    // pino-http's own serializers would run first, and turn every error into one of type "Object".
    wrapSerializers: false,
    serializers: {
      err: describeError,
      req: ({ method, originalUrl }: Request) => ({ method, path: pathOf(originalUrl) }),
      res: ({ headersSent, statusCode }: Response) => ({
        statusCode: headersSent ? statusCode : null,
      }),
    },
    customLogLevel(_req, res, error) {
      if (isRefusal(res)) return sampleRefusals(res) ? 'warn' : 'silent';
      return error || isOurFault(res) ? 'error' : 'info';
    },
    customSuccessObject: (_req, res, line: object) => ({ ...line, ...describeRequest(res) }),
    // pino-http treats every 5xx as an error, and creates an Error if there is none.
    // oxlint-disable-next-line eslint/max-params -- pino-http passes the error, too
    customErrorObject: (_req, res, error, line: object) => ({
      ...line,
      err: isOurFault(res) && !isRefusal(res) ? error : undefined,
      ...(isRefusal(res) && describeRefusal(res)),
      ...describeRequest(res),
    }),
    customErrorMessage(_req, res) {
      if (isRefusal(res)) return 'requests refused';
      return isOurFault(res) ? 'request failed' : 'request completed';
    },
  });
}

/** A request that found the service too busy: there may be thousands in a second. */
function isRefusal({ locals }: Response): boolean {
  return locals.outcome === 'overloaded';
}

/** Shortest time between two lines about refusals. */
const REFUSALS_EVERY_MS = 1000;

/** True if a line about refusals is due; it then has the number of refusals since the last line. */
function createSampleRefusals(now: () => number) {
  let loggedAt = -Infinity;
  let refused = 0;
  return (res: Response): boolean => {
    refused += 1;
    if (now() - loggedAt < REFUSALS_EVERY_MS) return false;
    res.locals.refused = refused;
    loggedAt = now();
    refused = 0;
    return true;
  };
}

function describeRefusal({ err, locals }: Response) {
  return { refused: locals.refused, reason: err instanceof LivegateError ? err.detail : undefined };
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
