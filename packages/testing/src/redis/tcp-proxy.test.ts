import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createTcpProxy } from './tcp-proxy.js';

test('a delayed link of many connections warns of no leak', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on('warning', note);
  const echo = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const link = await createTcpProxy((echo.address() as AddressInfo).port);
  const sockets = Array.from({ length: 20 }, () => connect(link.port, '127.0.0.1'));
  onTestFinished(() => {
    process.off('warning', note);
    for (const socket of sockets) socket.destroy();
    link.close();
    echo.close();
  });
  link.fail('delayed');
  const ask = async (socket: Socket) => {
    const answer = once(socket, 'data');
    socket.write('a');
    return String(await answer);
  };
  expect(await Promise.all(sockets.map(ask))).toEqual(sockets.map(() => 'a'));
  expect(warnings).toEqual([]);
});
