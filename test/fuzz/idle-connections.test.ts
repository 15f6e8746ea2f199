import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import {
  createEnv,
  readCollectedUsage,
  startWatchedApp,
} from '@livegate/testing/product/processes';
import { expect, it, onTestFinished } from 'vitest';

const CONNECTIONS = 10_000;
/** Opened at once; more would overflow the queue of the listening socket. */
const AT_ONCE = 200;
/** Measured: 24 KiB. */
const MAX_KIB_EACH = 48;

it('10,000 idle connections cost little, and other requests are answered', async () => {
  const api = startWatchedApp('api', { PORT: '0', ...createEnv() });
  const sockets: Socket[] = [];
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await api.stop('SIGKILL');
  });
  const { address } = (await api.logged('listening')) as { address: { port: number } };
  const url = `http://127.0.0.1:${address.port}/livez`;
  expect((await fetch(url)).status).toBe(200);
  const before = await readCollectedUsage(api);
  for (let opened = 0; opened < CONNECTIONS; opened += AT_ONCE) {
    const batch = Array.from({ length: AT_ONCE }, () => connect(address.port, '127.0.0.1'));
    sockets.push(...batch);
    // One that has sent nothing is closed after 10 s, one between two requests after 75 s.
    await Promise.all(
      batch.map(async (socket) => {
        socket.on('error', () => undefined).write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
        await once(socket, 'data');
      }),
    );
  }
  expect((await fetch(url)).status).toBe(200);
  expect(sockets.filter((socket) => socket.closed)).toEqual([]);
  const during = await readCollectedUsage(api);
  const kibEach = ((during.rssMiB - before.rssMiB) * 1024) / CONNECTIONS;
  expect(kibEach).toBeLessThan(MAX_KIB_EACH);
}, 120_000);
