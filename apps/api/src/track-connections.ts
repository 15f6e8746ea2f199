import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

export interface Connections {
  /** The response to the newest request of a connection, answered or not. */
  newestResponse(socket: Duplex): ServerResponse | undefined;
  /** From now on every answer is the last of its connection, and says so. */
  endWithAnswers(): void;
  /** Closes every connection that owes no answer, also those that have not sent a byte yet. */
  closeIdle(): void;
}

export function trackConnections(server: Server): Connections {
  /** Of each connection, the newest one last; answered ones are left out when a newer one comes. */
  const responses = new Map<Duplex, ServerResponse[]>();
  const newestOf = (socket: Duplex) => responses.get(socket)?.at(-1);
  let isEnding = false;
  server.on('connection', (socket) => {
    responses.set(socket, []);
    socket.once('close', () => {
      // Node itself comes first.
      process.nextTick(closeAll, responses.get(socket));
      responses.delete(socket);
    });
  });
  const note = (req: IncomingMessage, res: ServerResponse) => {
    const former = responses.get(req.socket) ?? [];
    responses.set(req.socket, [...former.filter((earlier) => isOpen(earlier, res)), res]);
    if (isEnding) res.shouldKeepAlive = false;
  };
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, note);

  return {
    newestResponse: newestOf,
    endWithAnswers() {
      isEnding = true;
      for (const response of [...responses.values()].flat()) response.shouldKeepAlive = false;
    },
    closeIdle() {
      for (const socket of responses.keys()) if (newestOf(socket)?.closed ?? true) socket.destroy();
    },
  };
}

/** 'checkContinue' and 'request' are two events of one request. */
function isOpen(earlier: ServerResponse, res: ServerResponse): boolean {
  return earlier !== res && !earlier.closed;
}

/**
 * A response that waits behind another one of its connection gets no 'close' from Node 20 when the
 * connection closes, and what it holds would never be released.
 */
function closeAll(responses: ServerResponse[] = []): void {
  for (const response of responses.filter(({ closed }) => !closed)) {
    response.destroy();
    response.emit('close');
  }
}
