import { createServer, STATUS_CODES, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { LivegateError, type ErrorCode } from '@livegate/core';
import type { Express } from 'express';
import { v7 as uuidv7 } from 'uuid';
import { presentError } from './present-error.js';

/** Longer than the idle time-out of the usual load balancers, which must be the first to close. */
const KEEP_ALIVE_MS = 75_000;

/**
 * An HTTP server that answers in JSON with a `Request-Id` also where Node, left alone, would answer
 * with bare status lines: broken HTTP, oversized headers, a body that stops half-way or never ends.
 */
export function createHttpServer(app: Express, uploadTimeoutMs: number): Server {
  const openResponses = new WeakMap<Duplex, ServerResponse>();
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: uploadTimeoutMs,
    // Node looks for late requests only this often; its default of 30 s would double the limit.
    connectionsCheckingInterval: Math.min(uploadTimeoutMs, 5000),
  });

  server.on('request', (req, res) => {
    openResponses.set(req.socket, res);
    app(req, res);
  });
  // The reader of the body says "100 Continue" once everything else has been accepted.
  server.on('checkContinue', (req, res) => server.emit('request', req, res));
  server.on('checkExpectation', (_req, res: ServerResponse) => {
    const { status, body, headers } = present('unsupported_expectation', uuidv7());
    res.writeHead(status, headers).end(body);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    answerBrokenRequest(error, socket, openResponses.get(socket));
  });
  return server;
}

/** Stops listening, lets every request that has begun get its answer, and then lets go. */
export async function closeHttpServer(server: Server): Promise<void> {
  // A connection whose last answer is still on its way is idle, and closable, only afterwards.
  const sweep = setInterval(() => server.closeIdleConnections(), 100);
  await new Promise((resolve) => server.close(resolve));
  clearInterval(sweep);
}

/** There is no request to answer through, so the response is written by hand. */
function answerBrokenRequest(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  response: ServerResponse | undefined,
): void {
  const answered = response?.headersSent && !response.writableEnded;
  if (!socket.writable || error.code === 'ECONNRESET' || answered) {
    socket.destroy();
    return;
  }
  const requestId = String(response?.getHeader('request-id') ?? uuidv7());
  const { status, headers, body } = present(codes[error.code ?? ''] ?? 'bad_request', requestId);
  const head = Object.entries({ ...headers, Connection: 'close' });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n` +
      `${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
  );
}

const codes: Record<string, ErrorCode> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
};

function present(code: ErrorCode, requestId: string) {
  const presented = presentError(new LivegateError(code), requestId);
  const body = JSON.stringify(presented.body);
  const headers = {
    ...presented.headers,
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'Request-Id': requestId,
  };
  return { status: presented.status, headers, body };
}
