import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Where Linux tells a process in a container how much of the machine it may use. */
const CPU_LIMIT_FILE = '/sys/fs/cgroup/cpu.max';

/**
 * How many threads can run at once: the cores, or the container's CPU limit if that is lower. Node
 * counts the cores only, and a thread too many is throttled just when others wait for it.
 */
export function countCpus(readLimit = () => readFileSync(CPU_LIMIT_FILE, 'utf8')): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(readCpuLimit(readLimit))));
}

/** "quota period" in microseconds, or "max period"; there is no file outside of a container. */
function readCpuLimit(readLimit: () => string): number {
  try {
    const [quota, period] = readLimit().split(' ').map(Number);
    return quota && period ? quota / period : Infinity;
  } catch {
    return Infinity;
  }
}
