import { once, setMaxListeners } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How a network link can fail. */
export const linkFaults = ['cut', 'half-open', 'delayed', 'throttled'] as const;
export type LinkFault = (typeof linkFaults)[number];

const DELAY_MS = 150;
const BYTES_PER_MS = 20;

export interface TcpProxy {
  port: number;
  /**
   * `cut`: connections are reset, and new ones at once. `half-open`: connections stay open and are
   * silent, also after `heal`, as when a firewall has dropped their state. `delayed`, `throttled`:
   * 150 ms later; 20 kB/s.
   */
  fail(fault: LinkFault): void;
  /** New connections work. */
  heal(): void;
  close(): void;
}

/** A link to a port on loopback that a test can break. */
export async function createTcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let fault: LinkFault | undefined;
  /** Sockets whose bytes reach nobody any more. */
  const silent = new WeakSet<Socket>();
  let healing = createHealing();

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    keep(client);
    if (fault === 'cut') return void client.resetAndDestroy();
    if (fault === 'half-open') return void silent.add(client.resume());
    const target = connect({
      host: '127.0.0.1',
      port: targetPort,
      allowHalfOpen: true,
      noDelay: true,
    });
    keep(target);
    relay(client, target);
    relay(target, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    fail(next) {
      fault = next;
      for (const socket of sockets) {
        if (next === 'cut') socket.resetAndDestroy();
        if (next === 'half-open') silent.add(socket);
      }
    },
    heal() {
      fault = undefined;
      healing.abort();
      healing = createHealing();
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };

  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  }

  /** In order, each chunk when its delay is over and the bytes before it have had their time. */
  function relay(from: Socket, to: Socket): void {
    let freeAt = 0;
    let last: Promise<void> = Promise.resolve();
    const then = (act: () => void) => {
      const { signal } = healing;
      last = last
        .then(() => sleep(Math.max(0, freeAt - performance.now()), undefined, { signal }))
        .catch(() => undefined)
        .then(() => void (silent.has(from) || act()));
    };
    from.on('data', (chunk) => {
      const delayMs = fault === 'delayed' ? DELAY_MS : 0;
      const sendMs = fault === 'throttled' ? chunk.length / BYTES_PER_MS : 0;
      freeAt = Math.max(freeAt, performance.now() + delayMs) + sendMs;
      if (fault === undefined && freeAt <= performance.now()) freeAt = 0;
      then(() => to.write(chunk));
    });
    from.on('end', () => then(() => to.end()));
    from.on('close', () => then(() => to.destroy()));
  }
}

/** Each socket with bytes on their way listens until they have their time. */
function createHealing(): AbortController {
  const healing = new AbortController();
  setMaxListeners(0, healing.signal);
  return healing;
}
