// Waits for as long as each message says, more exactly than a timer does, and says when it is over.
import { parentPort } from 'node:worker_threads';

const nobodyWakesIt = new Int32Array(new SharedArrayBuffer(4));

const port = parentPort!;
port.on('message', (ms: number) => {
  Atomics.wait(nobodyWakesIt, 0, 0, ms);
  port.postMessage('over');
});
