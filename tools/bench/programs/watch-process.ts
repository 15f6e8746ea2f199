// Preloaded into measured programs: reports their resource usage on request.
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface ProcessUsage {
  cpuMs: number;
  rssMiB: number;
  peakRssMiB: number;
  /** Since the previous request. Sampled every millisecond, which is included in the value. */
  loopDelayP99Ms: number;
}

const SAMPLE_MS = 20;
const MIB = 2 ** 20;

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();

// The kernel's VmHWM is inherited from the parent, whose peak may be larger.
let peakRss = 0;
const samplePeak = () => (peakRss = Math.max(peakRss, process.memoryUsage.rss()));
setInterval(samplePeak, SAMPLE_MS).unref();

process.on('message', (message) => {
  if (message === 'usage') process.send?.(readUsage());
});
process.channel?.unref();

function readUsage(): ProcessUsage {
  const { user, system } = process.cpuUsage();
  const loopDelayP99Ms = delay.percentile(99) / 1e6;
  delay.reset();
  return {
    cpuMs: (user + system) / 1000,
    rssMiB: process.memoryUsage.rss() / MIB,
    peakRssMiB: samplePeak() / MIB,
    loopDelayP99Ms,
  };
}
