// Preloaded into measured programs, and into their threads: reports their resource usage on request.
import { readFileSync, readlinkSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads';

export interface ProcessUsage {
  cpuMs: number;
  /** CPU time of each JavaScript thread, by its `threadId`; empty where there is no /proc. */
  threadCpuMs: Record<number, number>;
  rssMiB: number;
  /** Between samples only after `watch`. */
  peakRssMiB: number;
  /** Live JavaScript objects and the memory of Buffers; exact only after a collection. */
  heapMiB: number;
  /** Since the previous request, after `watch`. Sampled every millisecond, which is included. */
  loopDelayP99Ms: number;
}

/**
 * `collected` collects all garbage first, which takes up to a second of the process. `watch` samples
 * delay and peak from then on, which takes some 3 % of a core.
 */
export type UsageRequest = 'usage' | 'collected' | 'watch';
const requests: unknown[] = ['usage', 'collected', 'watch'] satisfies UsageRequest[];

const SAMPLE_MS = 20;
const MIB = 2 ** 20;

/** The system's ids of the JavaScript threads, by `threadId`. */
const threads = new Map<number, string>();
const port = new BroadcastChannel('bench-threads');
const self = findSelf();
if (isMainThread) {
  if (self) threads.set(threadId, self);
  port.addEventListener('message', (event) => {
    const [id, thread] = (event as Event & { data: [number, string | undefined] }).data;
    if (thread) threads.set(id, thread);
  });
} else {
  port.postMessage([threadId, self]);
}
port.unref();

const delay = monitorEventLoopDelay({ resolution: 1 });
// The kernel's VmHWM is inherited from the parent, whose peak may be larger.
let peakRss = 0;
const samplePeak = () => (peakRss = Math.max(peakRss, process.memoryUsage.rss()));

if (isMainThread) {
  process.on('message', (message) => {
    if (message === 'collected') collectGarbage();
    if (message === 'watch') watch();
    if (requests.includes(message)) process.send?.(readUsage());
  });
  process.channel?.unref();
}

function watch(): void {
  delay.enable();
  setInterval(samplePeak, SAMPLE_MS).unref();
}

function findSelf(): string | undefined {
  try {
    return readlinkSync('/proc/thread-self').split('/').at(-1);
  } catch {
    return undefined;
  }
}

/** The kernel's ticks are hundredths of a second on all common systems. */
function readThreadMs(thread: string): number {
  const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8');
  const [user = 0, system = 0] = stat.split(') ')[1]!.split(' ').slice(11, 13).map(Number);
  return 10 * (user + system);
}

/** `gc` exists only behind a flag, which a running process can set. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // Finalizers of the first collection free more.
  for (let n = 0; n < 3; n += 1) collect();
}

function readUsage(): ProcessUsage {
  const { user, system } = process.cpuUsage();
  const loopDelayP99Ms = delay.percentile(99) / 1e6;
  delay.reset();
  const { heapUsed, external } = process.memoryUsage();
  return {
    cpuMs: (user + system) / 1000,
    threadCpuMs: Object.fromEntries([...threads].map(([id, tid]) => [id, readThreadMs(tid)])),
    rssMiB: process.memoryUsage.rss() / MIB,
    peakRssMiB: samplePeak() / MIB,
    heapMiB: (heapUsed + external) / MIB,
    loopDelayP99Ms,
  };
}
