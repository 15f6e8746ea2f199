import { connect } from 'node:net';
import { defaultAuth, path } from './gateway.js';

export interface RawAnswer {
  status: number;
  headers: Map<string, string>;
  body: unknown;
}

export interface RawOptions {
  /** Ends the sending side after the text, as a client that hangs up half-way but still listens. */
  hangUp?: boolean;
}

/** Sends exactly these bytes and parses the last answer that comes back before the end. */
export async function sendRaw(
  port: number,
  chunks: (string | Uint8Array)[],
  options: RawOptions = {},
): Promise<RawAnswer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  for (const chunk of chunks) socket.write(chunk);
  if (options.hangUp) socket.end();
  let received = '';
  for await (const data of socket) {
    received += String(data);
    const answer = parseAnswer(received);
    if (answer) {
      socket.destroy();
      return answer;
    }
  }
  throw new Error(`the connection ended with: ${received}`);
}

/** The head of a request to the liveness path, with good credentials. */
export function head(...headers: string[]): string {
  const auth = Object.entries(defaultAuth).map(([name, value]) => `${name}: ${value}`);
  return `${[`POST ${path} HTTP/1.1`, 'Host: localhost', ...auth, ...headers].join('\r\n')}\r\n\r\n`;
}

/** `undefined` until a whole final (not 1xx) answer is there. */
function parseAnswer(received: string): RawAnswer | undefined {
  const [headText = '', ...rest] = received.split('\r\n\r\n');
  if (headText.startsWith('HTTP/1.1 1')) return parseAnswer(rest.join('\r\n\r\n'));
  const [statusLine = '', ...lines] = headText.split('\r\n');
  const headers = new Map(
    lines.map((line): [string, string] => {
      const [name = '', value = ''] = line.split(/: (.*)/);
      return [name.toLowerCase(), value];
    }),
  );
  const body = rest.join('\r\n\r\n');
  const length = Number(headers.get('content-length') ?? Number.NaN);
  if (!(Buffer.byteLength(body) >= length)) return undefined;
  return { status: Number(statusLine.split(' ')[1]), headers, body: JSON.parse(body) as unknown };
}
