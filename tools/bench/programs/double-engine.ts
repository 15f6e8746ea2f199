// A fake engine: waits for the milliseconds in each message, more precisely than a timer, and answers.
import { parentPort } from 'node:worker_threads';

const neverNotified = new Int32Array(new SharedArrayBuffer(4));

const port = parentPort!;
port.on('message', (ms: number) => {
  Atomics.wait(neverNotified, 0, 0, ms);
  port.postMessage('over');
});
