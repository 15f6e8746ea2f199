import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, posix } from 'node:path';

/**
 * How many threads can run at once: the cores that this process may use, or the CPU limit of a cgroup
 * around it if that is lower, rounded down. Node counts the cores only, and a thread too many is
 * throttled just when others wait for it. `root` is where /proc and /sys are.
 */
export function countCpus(root = '/'): number {
  const limits = findCpuFolders(root).map((folder) => readCpuLimit(join(root, folder)));
  return Math.max(1, Math.floor(Math.min(availableParallelism(), ...limits)));
}

/** Each cgroup that this process is in, and those around it: every one of them may have a limit. */
function findCpuFolders(root: string): string[] {
  const mounts = readLines(join(root, 'proc/self/mountinfo')).flatMap(parseMount);
  return readLines(join(root, 'proc/self/cgroup')).flatMap((line) => {
    // "0::/path" of version 2, "4:cpu,cpuacct:/path" of version 1; both may be there.
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isOurs = ({ controllers: mounted }: Mount) =>
      controllers === '' ? mounted === undefined : mounted?.includes('cpu');
    if (controllers !== '' && !controllers.split(',').includes('cpu')) return [];
    const mount = mounts.find(isOurs);
    return mount ? listFolders(mount, path) : [];
  });
}

interface Mount {
  /** Which cgroup is seen at `folder`. */
  cgroup: string;
  folder: string;
  /** Of version 1; version 2 has all of them in one tree. */
  controllers?: string[];
}

/** Fields of proc_pid_mountinfo(5); " - " ends those of which there may be any number. */
function parseMount(line: string): Mount[] {
  const [before = '', after = ''] = line.split(' - ');
  const [, , , cgroup = '', folder = ''] = before.split(' ').map(unescape);
  const [type, , options = ''] = after.split(' ');
  if (type === 'cgroup2') return [{ cgroup, folder }];
  return type === 'cgroup' ? [{ cgroup, folder, controllers: options.split(',') }] : [];
}

/** From the cgroup of this process up to the one that is mounted; a container sees no further. */
function listFolders({ cgroup, folder }: Mount, path: string): string[] {
  // Both paths are as seen from the same namespace, and outside of what is mounted is not seen.
  const inside = posix.relative(cgroup, path);
  const names = inside.startsWith('..') ? [] : inside.split('/').filter((name) => name !== '');
  return [...Array(names.length + 1).keys()].map((count) => join(folder, ...names.slice(0, count)));
}

/** In cores. Both versions have a quota per period, in microseconds: "max" or -1 without a limit. */
function readCpuLimit(folder: string): number {
  const [version2 = ''] = readLines(join(folder, 'cpu.max'));
  const [quota, period] = version2 === '' ? readVersion1(folder) : version2.split(' ').map(Number);
  return quota && period && quota > 0 ? quota / period : Infinity;
}

function readVersion1(folder: string): number[] {
  return ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((file) =>
    Number(readLines(join(folder, file))[0]),
  );
}

/** None where there is no such file: on other systems, without cgroups, in the outermost cgroup. */
function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** A space in a path is `\040`. */
function unescape(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, code: string) =>
    String.fromCharCode(parseInt(code, 8)),
  );
}
