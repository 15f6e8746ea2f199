import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { LivegateError, tooCostly } from '@livegate/core/domain';
import { Semaphore } from 'async-mutex';
import type { DecodedRows, DecodeTask, PreparedImage } from './decode-pixels.js';

export interface DecodeLimits {
  /** CPU time. The header limits keep every accepted image below a third of the default. */
  cpuMs: number;
  /** Wall time after which the process is killed, even if it got less CPU time. */
  wallMs: number;
}

/** The process's command-line argument, as JSON; it reads the file from its standard input. */
export interface DecodeOrder {
  task: DecodeTask;
  cpuMs: number;
}

/** The process's output: one line of JSON, then the pixels of a decoded image. */
export type DecodeAnswer =
  | ({ kind: 'decoded' } & Omit<DecodedRows, 'pixels'>)
  | { kind: 'invalid'; detail: string }
  | { kind: 'tooCostly'; detail: string }
  | { kind: 'failed'; detail: string };

const defaultLimits: DecodeLimits = { cpuMs: 10_000, wallMs: 20_000 };
const program = fileURLToPath(new URL('./decode-process.js', import.meta.url));

export type DecodeApart = (image: PreparedImage, limits?: DecodeLimits) => Promise<DecodedRows>;

/**
 * Decodes each image in a child process, which ends with the decode. At most `maxProcesses` run at
 * once; other decodes wait.
 *
 * A process that uses up its CPU time is the image's fault: `invalid_image` with a reason. A
 * process that is killed earlier, by the wall time or from outside, is not: another Error.
 */
export function createDecodeApart(maxProcesses: number): DecodeApart {
  const processes = new Semaphore(maxProcesses);
  return (image, limits = defaultLimits) => processes.runExclusive(() => runProcess(image, limits));
}

async function runProcess(
  { file, task }: PreparedImage,
  limits: DecodeLimits,
): Promise<DecodedRows> {
  const order: DecodeOrder = { task, cpuMs: limits.cpuMs };
  const child = spawn(process.execPath, [program, JSON.stringify(order)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // The decoder of a hostile file needs neither our credentials nor a tracer.
    env: {},
    timeout: limits.wallMs,
    killSignal: 'SIGKILL',
  });
  child.stdin.on('error', () => undefined);
  await once(child, 'spawn');
  const closed = once(child, 'close');
  child.stdin.end(file);
  try {
    const decoded = await readAnswer(child.stdout);
    if (decoded) return decoded;
  } finally {
    child.kill('SIGKILL');
    await closed;
  }
  const end = child.signalCode ?? `exit code ${child.exitCode}`;
  throw new Error(`decode process ended without an answer, within ${limits.wallMs} ms: ${end}`);
}

/**
 * The decoded image, or `undefined` if the output is incomplete. Throws the error that the answer
 * reports.
 */
async function readAnswer(output: Readable): Promise<DecodedRows | undefined> {
  let line = Buffer.alloc(0);
  let decoded: DecodedRows | undefined;
  let length = 0;
  for await (const chunk of output as AsyncIterable<Buffer>) {
    let pixels = chunk;
    if (!decoded) {
      line = Buffer.concat([line, chunk]);
      const lineEnd = line.indexOf('\n');
      if (lineEnd < 0) continue;
      decoded = startRows(JSON.parse(line.toString('utf8', 0, lineEnd)) as DecodeAnswer);
      pixels = line.subarray(lineEnd + 1);
    }
    decoded.pixels.set(pixels, length);
    length += pixels.length;
  }
  return decoded && length === decoded.pixels.length ? decoded : undefined;
}

function startRows(answer: DecodeAnswer): DecodedRows {
  if (answer.kind === 'tooCostly') throw tooCostly(answer.detail);
  if (answer.kind === 'invalid') throw new LivegateError('invalid_image', answer);
  if (answer.kind === 'failed') throw new Error(answer.detail);
  const { width, height, orientation } = answer;
  return { pixels: new Uint8Array(3 * width * height), width, height, orientation };
}
