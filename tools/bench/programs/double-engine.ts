// A fake engine: takes the milliseconds in each message, and answers.
import { parentPort } from 'node:worker_threads';

/** How much earlier than its time a wait ends: threads wake up to some 0.3 ms late. */
const EARLY_MS = 0.5;

const neverNotified = new Int32Array(new SharedArrayBuffer(4));

const port = parentPort!;
port.on('message', (ms: number) => {
  const end = performance.now() + ms;
  Atomics.wait(neverNotified, 0, 0, Math.max(0, ms - EARLY_MS));
  let now = performance.now();
  while (now < end) now = performance.now();
  port.postMessage('over');
});
