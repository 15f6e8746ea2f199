import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ErrorCode, LivegateError } from '@livegate/core/domain';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { v7 as uuidv7 } from 'uuid';
import { presentError, toLivegateError } from '../contract/present-error.js';

/** Answers the errors of all routes as JSON. */
// oxlint-disable-next-line eslint/max-params -- Express knows an error handler by its four parameters
export const handleError: ErrorRequestHandler = (thrown, _req, res, _next) => {
  // The connection is closed, and the request has been logged.
  if (res.destroyed) return;
  const error = toLivegateError(thrown);
  const { status, headers, body } = presentError(error, res.locals.requestId);
  res.locals.outcome = error.code;
  // For the request's log line.
  if (status >= 500 && !error.isCallersChoice) res.err = error;
  res.locals.isCallersChoice = error.isCallersChoice;
  // Already answered by `answerRaw`: the body was cut off before its handler failed.
  if (res.writableEnded) return;
  if (res.headersSent) res.destroy();
  // A handler may have set the type of the answer that it could not give.
  else res.status(status).set(headers).type('json').json(body);
};

export const refusePath: RequestHandler = () => {
  throw new LivegateError('not_found');
};

export function refuseMethod(...allowed: string[]): RequestHandler {
  return (_req, res) => {
    res.set('Allow', allowed.join(', '));
    throw new LivegateError('method_not_allowed');
  };
}

/** Longer than an answer takes to arrive, short enough that silent clients do not pile up. */
const LINGER_MS = 2000;

/** Answers a request that Express cannot route, or whose body was cut off while Express handled it. */
export function answerRaw(res: ServerResponse, code: ErrorCode): void {
  const { status, headers, body } = present(code, String(res.getHeader('request-id') ?? uuidv7()));
  res.writeHead(status, headers).end(body);
}

/** Answers bytes that never became a request, under a new id: Node gives no response object for them. */
export function answerSocket(socket: Duplex, code: ErrorCode): void {
  const { status, headers, body } = present(code, uuidv7());
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`);
  // Destroying the socket at once would reset the connection, and could discard the answer.
  const linger = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(linger));
}

function present(code: ErrorCode, requestId: string) {
  const presented = presentError(new LivegateError(code), requestId);
  const body = JSON.stringify(presented.body);
  const headers = {
    ...presented.headers,
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'Request-Id': requestId,
    Connection: 'close',
  };
  return { status: presented.status, headers, body };
}
