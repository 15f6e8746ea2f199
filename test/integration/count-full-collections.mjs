// Assesses the selfie from standard input SELFIES times and prints how many full garbage collections
// ran meanwhile: `node --expose-gc count-full-collections.mjs CONFIG SELFIES`.
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { buffer } from 'node:stream/consumers';
import { openScheduler } from '@livegate/worker/scheduling/schedule-images';

const [config, selfies] = process.argv.slice(2).map((argument) => JSON.parse(argument));
const selfie = await buffer(process.stdin);
const scheduler = await openScheduler(config, { log: console, onLost: () => process.exit(1) });
await assess(10);
// Teaches V8 how little survives, as it knows after a worker's first minutes.
for (let i = 0; i < 4; i++) globalThis.gc();

let full = 0;
const isFull = ({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
const observer = new PerformanceObserver((list) => {
  full += list.getEntries().filter(isFull).length;
});
observer.observe({ entryTypes: ['gc'] });
await Promise.all([assess(selfies / 2), assess(selfies / 2)]);
await new Promise(setImmediate);
console.log(full);
process.exit();

async function assess(count) {
  for (let i = 0; i < count; i++) await scheduler.assess(selfie);
}
