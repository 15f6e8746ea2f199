// Decodes one image and ends: what `decode-apart` runs. It imports little, as it starts for each image.
import { writeSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import type { DecodeAnswer, DecodeOrder } from './decode-apart.js';
import { decodePixels, isOurFault, setUpLibvips } from './decode-pixels.js';

/** How often the processor time is looked at. */
const WATCH_MS = 20;

const { task, cpuMs } = JSON.parse(process.argv[2]!) as DecodeOrder;
setUpLibvips();
const file = await buffer(process.stdin);
const watch = watchCpuTime();
try {
  const { width, height, pixels } = await decodePixels(file, task);
  clearInterval(watch);
  answer({ kind: 'decoded', width, height });
  process.stdout.write(pixels);
} catch (error) {
  clearInterval(watch);
  answer({ kind: isOurFault(error) ? 'failed' : 'invalid', detail: String(error) });
}

/** A decoder cannot be interrupted, only killed: an exit would wait for it. */
function watchCpuTime(): NodeJS.Timeout {
  const started = process.cpuUsage();
  return setInterval(() => {
    const { user, system } = process.cpuUsage(started);
    if ((user + system) / 1000 < cpuMs) return;
    try {
      answer({ kind: 'tooCostly', detail: `${cpuMs} ms of processor time` });
    } finally {
      process.kill(process.pid, 'SIGKILL');
    }
  }, WATCH_MS);
}

function answer(what: DecodeAnswer): void {
  writeSync(process.stdout.fd, `${JSON.stringify(what)}\n`);
}
