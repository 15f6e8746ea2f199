import { connect } from 'node:net';

export interface WireAnswer {
  status: number;
  /** Names in lower case; values as bytes (latin1). */
  headers: [name: string, value: string][];
  body: Buffer;
}

/** Bytes for one connection. */
export interface Exchange {
  bytes: Buffer;
  /** Exactly one complete request, which must be answered. */
  isWhole: boolean;
  /** The answer has no body. */
  isHead?: boolean;
}

export interface Exchanged {
  answers: WireAnswer[];
  /** Bytes after the last complete answer. */
  rest: Buffer;
  /** `hung`: neither answered nor closed within the limit. */
  end: 'answered' | 'closed' | 'hung';
}

/** Far more than an answer takes on a loaded machine. */
export const HANG_MS = 30_000;
/**
 * A request that is not whole may wait for the rest of it: after this silence its client half-closes.
 */
const SILENCE_MS = 250;

/** Sends the bytes and reads what comes back: one answer to a whole request, else up to the end. */
export function exchange(port: number, { bytes, isWhole, isHead }: Exchange): Promise<Exchanged> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let received: Buffer = Buffer.alloc(0);
    const read = () => parseAnswers(received, isHead);
    const finish = (end: Exchanged['end']) => {
      clearTimeout(hang);
      clearTimeout(silence);
      socket.destroy();
      resolve({ ...read(), end });
    };
    const hang = setTimeout(() => finish('hung'), HANG_MS);
    const hangUp = () => socket.end();
    let silence = isWhole ? undefined : setTimeout(hangUp, SILENCE_MS);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (isWhole && read().answers.length > 0) return finish('answered');
      if (silence === undefined) return;
      clearTimeout(silence);
      silence = setTimeout(hangUp, SILENCE_MS);
    });
    socket.once('end', () => finish('closed'));
    // A reset: the server refused the rest of a body and has closed. What it sent before counts.
    socket.once('error', () => undefined);
    socket.once('close', () => finish('closed'));
    socket.write(bytes, () => undefined);
  });
}

/** Final answers (not 1xx) and the bytes after them. */
export function parseAnswers(
  received: Buffer,
  isHead = false,
): Pick<Exchanged, 'answers' | 'rest'> {
  const answers: WireAnswer[] = [];
  let rest = received;
  for (;;) {
    const parsed = parseAnswer(rest, isHead);
    if (!parsed) return { answers, rest };
    if (parsed.answer.status >= 200) answers.push(parsed.answer);
    rest = parsed.rest;
  }
}

function parseAnswer(bytes: Buffer, isHead: boolean) {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})(?: |$)/.exec(statusLine)?.[1]);
  if (Number.isNaN(status)) return undefined;
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const start = headEnd + 4;
  const hasBody = !isHead && status >= 200 && status !== 304;
  const length = hasBody ? Number(valueOf({ headers }, 'content-length') ?? Number.NaN) : 0;
  // Every answer of the product has a length; without one, it is not an answer of the product.
  if (Number.isNaN(length) || bytes.length < start + length) return undefined;
  const body = bytes.subarray(start, start + length);
  return { answer: { status, headers, body }, rest: bytes.subarray(start + length) };
}

export function valueOf(
  { headers }: Pick<WireAnswer, 'headers'>,
  name: string,
): string | undefined {
  return headers.find(([each]) => each === name)?.[1];
}
