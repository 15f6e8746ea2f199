// Preloaded into measured programs: reports their resource usage on request.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface ProcessUsage {
  cpuMs: number;
  rssMiB: number;
  peakRssMiB: number;
  /** Live JavaScript objects and the memory of Buffers; exact only after a collection. */
  heapMiB: number;
  /** Since the previous request. Sampled every millisecond, which is included in the value. */
  loopDelayP99Ms: number;
}

/** `collected` collects all garbage first, which takes up to a second of the process. */
export type UsageRequest = 'usage' | 'collected';

const SAMPLE_MS = 20;
const MIB = 2 ** 20;

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();

// The kernel's VmHWM is inherited from the parent, whose peak may be larger.
let peakRss = 0;
const samplePeak = () => (peakRss = Math.max(peakRss, process.memoryUsage.rss()));
setInterval(samplePeak, SAMPLE_MS).unref();

process.on('message', (message) => {
  if (message === 'collected') collectGarbage();
  if (message === 'usage' || message === 'collected') process.send?.(readUsage());
});
process.channel?.unref();

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
    rssMiB: process.memoryUsage.rss() / MIB,
    peakRssMiB: samplePeak() / MIB,
    heapMiB: (heapUsed + external) / MIB,
    loopDelayP99Ms,
  };
}
