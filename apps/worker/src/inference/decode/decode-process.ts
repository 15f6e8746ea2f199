// Decodes one image and ends; `decode-apart` starts it for each image, so it imports little.
import { writeSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import type { DecodeAnswer, DecodeOrder } from './decode-apart.js';
import { decodePixels, isOurFault, setUpLibvips } from './decode-pixels.js';

/** Interval at which the CPU time is checked. */
const POLL_MS = 20;

const { task, cpuMs } = JSON.parse(process.argv[2]!) as DecodeOrder;
setUpLibvips();
const file = await buffer(process.stdin);
const watch = watchCpuTime();
try {
  const { pixels, ...decoded } = await decodePixels(file, task);
  clearInterval(watch);
  answer({ kind: 'decoded', ...decoded });
  process.stdout.write(pixels);
} catch (error) {
  clearInterval(watch);
  answer({ kind: isOurFault(error) ? 'failed' : 'invalid', detail: String(error) });
}

/**
 * Kills the process after its CPU time. A decoder cannot be interrupted, and an exit waits for it.
 */
function watchCpuTime(): NodeJS.Timeout {
  const started = process.cpuUsage();
  return setInterval(() => {
    const { user, system } = process.cpuUsage(started);
    if ((user + system) / 1000 < cpuMs) return;
    try {
      answer({ kind: 'tooCostly', detail: `${cpuMs} ms of CPU time` });
    } finally {
      process.kill(process.pid, 'SIGKILL');
    }
  }, POLL_MS);
}

function answer(message: DecodeAnswer): void {
  writeSync(process.stdout.fd, `${JSON.stringify(message)}\n`);
}
