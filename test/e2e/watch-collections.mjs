// Preloaded into a gateway: logs how many full garbage collections have run since the SIGUSR2 before,
// and starts again at zero.
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let full = 0;
const isFull = ({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
const observer = new PerformanceObserver((list) => {
  full += list.getEntries().filter(isFull).length;
});
observer.observe({ entryTypes: ['gc'] });
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
/** The observer is called in a later turn of the event loop. */
const OBSERVED_MS = 50;

process.on('SIGUSR2', () => void report());

async function report() {
  await sleep(OBSERVED_MS);
  const counted = full;
  // Teaches V8 how little survives, as it knows after a gateway's first minutes.
  for (let i = 0; i < 4; i++) collect();
  await sleep(OBSERVED_MS);
  full = 0;
  console.log(JSON.stringify({ msg: 'full collections', full: counted }));
}
