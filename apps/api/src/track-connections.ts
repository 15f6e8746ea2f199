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
  const newest = new Map<Duplex, ServerResponse | undefined>();
  let isEnding = false;
  server.on('connection', (socket) => {
    newest.set(socket, undefined);
    socket.once('close', () => newest.delete(socket));
  });
  const note = (req: IncomingMessage, res: ServerResponse) => {
    newest.set(req.socket, res);
    if (isEnding) res.shouldKeepAlive = false;
  };
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, note);

  return {
    newestResponse: (socket) => newest.get(socket),
    endWithAnswers() {
      isEnding = true;
      for (const response of newest.values()) if (response) response.shouldKeepAlive = false;
    },
    closeIdle() {
      for (const [socket, response] of newest) if (!response || response.closed) socket.destroy();
    },
  };
}
