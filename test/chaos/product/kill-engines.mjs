// Loaded into a worker before its own code, and into each of its threads. SIGUSR2 ends the threads of
// the engines as an abort in native code would: no handler of theirs runs.
import { isMainThread, workerData } from 'node:worker_threads';

const channel = new BroadcastChannel('kill-engines');
channel.unref();
const kill = () => process.exit(1);
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is of browsers
if (isMainThread) process.on('SIGUSR2', () => channel.postMessage('now'));
else if (workerData?.models) channel.addEventListener('message', kill);
