import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import express, { type Response } from 'express';
import { expect, it, onTestFinished } from 'vitest';
import { closeHttpServer, createHttpServer } from '../../apps/api/src/http/http-server.js';
import { connectRaw } from '@livegate/testing/gateway/raw-http';

const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

const lastAnswer = {
  status: 200,
  body: { ok: true },
  headers: expect.toSatisfy(
    (headers: Map<string, string>) => headers.get('connection') === 'close',
  ),
};

/** A server with one route, which the test answers. */
async function startServer() {
  const asked: Response[] = [];
  const app = express().get('/', (_req, res) => void asked.push(res));
  const server = createHttpServer(app, {}).listen(0, '127.0.0.1');
  onTestFinished(() => server.closeAllConnections());
  await once(server, 'listening');
  return { server, asked, port: (server.address() as AddressInfo).port };
}

it.each([
  ['that never sent a byte', ''],
  ['that sent half a head', request.slice(0, 20)],
])('closing the server does not wait for a connection %s', async (_name, sent) => {
  const { server, port } = await startServer();
  const socket = connect({ port, host: '127.0.0.1' });
  const [serverSide] = (await once(server, 'connection')) as [Socket];
  socket.write(sent);
  await expect.poll(() => serverSide.bytesRead).toBe(sent.length);
  const closed = once(socket, 'close');
  await closeHttpServer(server);
  await closed;
});

it('closing the server waits for the answer to a running request, which ends the connection', async () => {
  const { server, asked, port } = await startServer();
  const client = connectRaw(port);
  client.send(request);
  await expect.poll(() => asked).toHaveLength(1);
  const closed = closeHttpServer(server);
  asked[0]?.json({ ok: true });
  expect(await client.next()).toMatchObject(lastAnswer);
  expect(await client.next()).toBeUndefined();
  await closed;
});

it('a draining server answers requests on kept and new connections, and closes each after its answer', async () => {
  const { server, asked, port } = await startServer();
  server.on('request', () => asked.at(-1)?.json({ ok: true }));
  const kept = connectRaw(port);
  kept.send(request);
  expect((await kept.next())?.headers.get('connection')).toBe('keep-alive');
  const closed = closeHttpServer(server, 1000);
  const late = connectRaw(port);
  for (const client of [kept, late]) {
    client.send(request);
    expect(await client.next()).toMatchObject(lastAnswer);
    expect(await client.next()).toBeUndefined();
  }
  await closed;
  expect(server.listening).toBe(false);
});
