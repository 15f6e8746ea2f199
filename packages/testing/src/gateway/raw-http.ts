import { connect } from 'node:net';
import { defaultAuth, path } from './caller.js';

export interface RawAnswer {
  status: number;
  headers: Map<string, string>;
  body: unknown;
}

export interface RawOptions {
  /** Sends FIN after the chunks, like a client that half-closes and still listens. */
  hangUp?: boolean;
}

/** Sends exactly these bytes and parses the first final (not 1xx) answer. */
export async function sendRaw(
  port: number,
  chunks: (string | Uint8Array)[],
  options: RawOptions = {},
): Promise<RawAnswer> {
  const client = connectRaw(port);
  client.send(...chunks);
  if (options.hangUp) client.hangUp();
  const answer = await client.next();
  client.destroy();
  if (!answer) throw new Error('the connection ended without an answer');
  return answer;
}

/** A connection for any number of requests. */
export function connectRaw(port: number) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.setEncoding('latin1');
  const incoming = socket[Symbol.asyncIterator]() as AsyncIterator<string>;
  let received = '';

  return {
    send(...chunks: (string | Uint8Array)[]) {
      for (const chunk of chunks) socket.write(chunk);
    },
    hangUp: () => void socket.end(),
    destroy: () => void socket.destroy(),
    reset: () => void socket.resetAndDestroy(),
    /** The next final (not 1xx) answer, or `undefined` when the connection ends without one. */
    async next(): Promise<RawAnswer | undefined> {
      for (;;) {
        const parsed = parseAnswer(received);
        received = parsed?.rest ?? received;
        if (parsed) return parsed.answer;
        const { done, value } = await incoming.next();
        if (done && received !== '') throw new Error(`the connection ended with: ${received}`);
        if (done) return undefined;
        received += value;
      }
    },
  };
}

/** The head of a request to the liveness path, with good credentials. */
export function head(...headers: string[]): string {
  const auth = Object.entries(defaultAuth).map(([name, value]) => `${name}: ${value}`);
  return `${[`POST ${path} HTTP/1.1`, 'Host: localhost', ...auth, ...headers].join('\r\n')}\r\n\r\n`;
}

/** `undefined` until a complete final answer has arrived. */
function parseAnswer(received: string): { answer: RawAnswer; rest: string } | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const rest = received.slice(headEnd + 4);
  if (received.startsWith('HTTP/1.1 1')) return parseAnswer(rest);
  const [statusLine = '', ...lines] = received.slice(0, headEnd).split('\r\n');
  const headers = new Map(
    lines.map((line): [string, string] => {
      const [name = '', value = ''] = line.split(/: (.*)/);
      return [name.toLowerCase(), value];
    }),
  );
  const length = Number(headers.get('content-length'));
  if (rest.length < length) return undefined;
  const body = JSON.parse(Buffer.from(rest.slice(0, length), 'latin1').toString()) as unknown;
  return {
    answer: { status: Number(statusLine.split(' ')[1]), headers, body },
    rest: rest.slice(length),
  };
}
