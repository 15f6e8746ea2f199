import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ErrorCode } from '@livegate/core';
import { answerBare, answerSocket } from './bare-answer.js';
import type { Connections } from './track-connections.js';

/** Answers what the HTTP parser gives up on, each under the id of the request that it belongs to. */
export function answerBrokenHttp(server: Server, connections: Connections): void {
  const broken = new WeakSet<Duplex>();

  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A parser that has failed fails again at every further byte.
    if (broken.has(socket)) return;
    broken.add(socket);
    const code = codes[error.code ?? ''] ?? 'bad_request';
    const response = connections.newestResponse(socket);
    if (!socket.writable || error.code === 'ECONNRESET') socket.destroy();
    else if (!response || response.req.complete) answerAfterOthers(socket, code);
    // It broke within a request, which gets one answer.
    else if (response.headersSent) socket.destroy();
    else answerBare(response, code);
  });

  server.on('connect', (_req, socket) => {
    // Node has let go of this socket: nobody else listens for its errors or reads on to its end.
    socket.on('error', () => undefined).resume();
    answerAfterOthers(socket, 'method_not_allowed');
  });

  /** Answers come in the order of the requests, and an earlier one may still be on its way. */
  function answerAfterOthers(socket: Duplex, code: ErrorCode): void {
    const earlier = connections.newestResponse(socket);
    if (!earlier || earlier.closed) answerSocket(socket, code);
    else earlier.once('close', () => socket.writable && answerSocket(socket, code));
  }
}

const codes: Record<string, ErrorCode> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
};
