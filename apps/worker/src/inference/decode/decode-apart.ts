import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { LivegateError, tooCostly } from '@livegate/core/domain';
import { Semaphore } from 'async-mutex';
import type { Picture } from '../picture.js';
import type { DecodeTask } from './decode-pixels.js';
import type { PreparedImage } from './prepare-image.js';

export interface DecodeLimits {
  /** Processor time. By its markers, no accepted image takes a third of the default. */
  cpuMs: number;
  /** Time by which the process is killed even if it has not got its processor time. */
  wallMs: number;
}

/** What the process is told on its command line; the file comes on its standard input. */
export interface DecodeOrder {
  task: DecodeTask;
  cpuMs: number;
}

/** The process's answer: one line of JSON, and the pixels of a decoded picture behind it. */
export type DecodeAnswer =
  | { kind: 'decoded'; width: number; height: number }
  | { kind: 'invalid'; detail: string }
  | { kind: 'tooCostly'; detail: string }
  | { kind: 'failed'; detail: string };

const defaultLimits: DecodeLimits = { cpuMs: 10_000, wallMs: 20_000 };
const program = fileURLToPath(new URL('./decode-process.js', import.meta.url));

export type DecodeApart = (image: PreparedImage, limits?: DecodeLimits) => Promise<Picture>;

/**
 * Decodes in a process of its own, which ends with the decode however that ends. At most so many run
 * at once; the others wait.
 *
 * A process that has had its processor time is the image's fault: `invalid_image`, saying so. One
 * that the clock killed before that, or anybody else, is not: another Error.
 */
export function createDecodeApart(maxProcesses: number): DecodeApart {
  const processes = new Semaphore(maxProcesses);
  return (image, limits = defaultLimits) => processes.runExclusive(() => runProcess(image, limits));
}

async function runProcess({ file, task }: PreparedImage, limits: DecodeLimits): Promise<Picture> {
  const order: DecodeOrder = { task, cpuMs: limits.cpuMs };
  const child = spawn(process.execPath, [program, JSON.stringify(order)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // A decoder of a hostile file needs neither our credentials nor a tracer.
    env: {},
    timeout: limits.wallMs,
    killSignal: 'SIGKILL',
  });
  child.stdin.on('error', () => undefined);
  await once(child, 'spawn');
  const closed = once(child, 'close');
  child.stdin.end(file);
  try {
    const picture = await readAnswer(child.stdout);
    if (picture) return picture;
  } finally {
    child.kill('SIGKILL');
    await closed;
  }
  const end = child.signalCode ?? `exit code ${child.exitCode}`;
  throw new Error(`a decode ended without an answer, within ${limits.wallMs} ms: ${end}`);
}

/** The picture, or `undefined` where the answer breaks off. Throws what the answer says. */
async function readAnswer(output: Readable): Promise<Picture | undefined> {
  let line = Buffer.alloc(0);
  let picture: Picture | undefined;
  let length = 0;
  for await (const chunk of output as AsyncIterable<Buffer>) {
    let pixels = chunk;
    if (!picture) {
      line = Buffer.concat([line, chunk]);
      const lineEnd = line.indexOf('\n');
      if (lineEnd < 0) continue;
      picture = startPicture(JSON.parse(line.toString('utf8', 0, lineEnd)) as DecodeAnswer);
      pixels = line.subarray(lineEnd + 1);
    }
    picture.pixels.set(pixels, length);
    length += pixels.length;
  }
  return picture && length === picture.pixels.length ? picture : undefined;
}

function startPicture(answer: DecodeAnswer): Picture {
  if (answer.kind === 'tooCostly') throw tooCostly(answer.detail);
  if (answer.kind === 'invalid') throw new LivegateError('invalid_image', answer);
  if (answer.kind === 'failed') throw new Error(answer.detail);
  const { width, height } = answer;
  return { pixels: new Uint8Array(3 * width * height), width, height };
}
