import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { answerSocket } from './answer-errors.js';

export interface ConnectionLimits {
  maxConnections: number;
  /** How long a client may take nothing of its answer. */
  stallTimeoutMs: number;
}

export interface Connections {
  /** Whether the connection was above the limit and has been refused. */
  isRefused(socket: Socket): boolean;
  /** The response to the newest request of a connection, answered or not. */
  newestResponse(socket: Duplex): ServerResponse | undefined;
  /** Requests of a connection that have no complete answer, the newest one included. */
  countUnanswered(socket: Socket): number;
  /** From now on every answer closes its connection, and says so. */
  disableKeepAlive(): void;
  /** Closes every connection without an unanswered request, also those that never sent a byte. */
  closeIdle(): void;
}

/** Follows connections and their responses, and limits both. */
export function trackConnections(server: Server, limits: ConnectionLimits): Connections {
  /** By connection, newest response last; a newer request removes those that are answered. */
  const responses = new Map<Duplex, ServerResponse[]>();
  /** Connections without an unanswered request, the one that is idle longest first. */
  const idle = new Set<Socket>();
  const newestOf = (socket: Duplex) => responses.get(socket)?.at(-1);
  let isEnding = false;

  server.on('connection', (socket) => {
    if (responses.size >= limits.maxConnections && !closeFirst(idle)) return refuse(socket);
    responses.set(socket, []);
    idle.add(socket);
    socket.once('close', () => {
      // After Node's own handling of 'close'.
      process.nextTick(closeAll, responses.get(socket));
      responses.delete(socket);
      idle.delete(socket);
    });
  });
  const note = (req: IncomingMessage, res: ServerResponse) => {
    const { socket } = req;
    const former = responses.get(socket);
    // 'checkContinue' and 'request' are two events of one request.
    if (!former || former.at(-1) === res) return;
    responses.set(socket, [...former.filter((earlier) => !earlier.closed), res]);
    idle.delete(socket);
    if (isEnding) res.shouldKeepAlive = false;
    res.once('prefinish', () => socket.setTimeout(limits.stallTimeoutMs));
    res.once('close', () => continueWith(socket));
  };
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, note);

  return {
    isRefused: (socket) => !responses.has(socket),
    newestResponse: newestOf,
    countUnanswered: (socket) => responses.get(socket)?.length ?? 0,
    disableKeepAlive() {
      isEnding = true;
      for (const response of [...responses.values()].flat()) response.shouldKeepAlive = false;
    },
    closeIdle: () => idle.forEach((socket) => socket.destroy()),
  };

  /** After an answer was sent: the next one of a pipeline may still wait for its check. */
  function continueWith(socket: Socket): void {
    const next = responses.get(socket)?.find((each) => !each.closed);
    if (next) socket.setTimeout(next.writableEnded ? limits.stallTimeoutMs : 0);
    else if (responses.has(socket)) idle.add(socket);
  }
}

/** Closes the connection that is idle longest. False if none is idle. */
function closeFirst(idle: Set<Socket>): boolean {
  const [socket] = idle;
  if (!socket) return false;
  idle.delete(socket);
  socket.destroy();
  return true;
}

function refuse(socket: Socket): void {
  socket.on('error', () => undefined);
  answerSocket(socket, 'overloaded');
}

/**
 * When a connection closes, Node 20 emits no 'close' for a response that waits behind another one, and
 * the leases of that request would never be released.
 */
function closeAll(responses: ServerResponse[] = []): void {
  for (const response of responses.filter(({ closed }) => !closed)) {
    response.destroy();
    response.emit('close');
  }
}
