import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { LivegateError, type ErrorCode } from '@livegate/core';
import { v7 as uuidv7 } from 'uuid';
import { presentError } from './present-error.js';

/** Longer than an answer takes to arrive, short enough that silent clients do not pile up. */
const LINGER_MS = 2000;

/** Answers a request that Express will not, or that broke off while Express had it. */
export function answerBare(res: ServerResponse, code: ErrorCode): void {
  const { status, headers, body } = present(code, String(res.getHeader('request-id') ?? uuidv7()));
  res.writeHead(status, headers).end(body);
}

/** Answers, under a new id, what never became a request: there is no response to answer through. */
export function answerSocket(socket: Duplex, code: ErrorCode): void {
  const { status, headers, body } = present(code, uuidv7());
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`);
  // To destroy it at once would reset the connection, and could take the answer with it.
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
