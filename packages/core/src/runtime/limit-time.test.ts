import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { limitTime } from './limit-time.js';

/** Blocks the event loop, like a burst of requests. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('takes an answer that arrived in time while the event loop was blocked', async () => {
  const server = createServer((socket) => socket.end('answer')).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const answer = once(socket, 'data');
  const limited = limitTime(20, answer);
  await once(socket, 'connect');
  block(200);
  await expect(limited).resolves.toEqual([Buffer.from('answer')]);
});

test('rejects after the limit', async () => {
  await expect(limitTime(1, new Promise(() => undefined))).rejects.toThrow('within 1 ms');
});
