import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, posix } from 'node:path';

/**
 * The number of threads that can run at once: the cores that this process may use, or the lowest
 * CPU limit of its cgroups, rounded down, at least 1. Node counts only cores, and with more threads
 * than the limit the kernel throttles a thread while others wait for it. `root` contains /proc and
 * /sys.
 */
export function countCpus(root = '/'): number {
  const limits = findCpuFolders(root).map((folder) => readCpuLimit(join(root, folder)));
  return Math.max(1, Math.floor(Math.min(availableParallelism(), ...limits)));
}

/** The folders of the cgroups of this process and of their parents: each may have a limit. */
function findCpuFolders(root: string): string[] {
  const mounts = readLines(join(root, 'proc/self/mountinfo')).flatMap(parseMount);
  return readLines(join(root, 'proc/self/cgroup')).flatMap((line) => {
    // "0::/path" in version 2, "4:cpu,cpuacct:/path" in version 1; a system may have both.
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isOurs = ({ controllers: mounted }: Mount) =>
      controllers === '' ? mounted === undefined : mounted?.includes('cpu');
    if (controllers !== '' && !controllers.split(',').includes('cpu')) return [];
    const mount = mounts.find(isOurs);
    return mount ? listFolders(mount, path) : [];
  });
}

interface Mount {
  /** The cgroup that is mounted at `folder`. */
  cgroup: string;
  folder: string;
  /** Only in version 1; version 2 has all controllers in one tree. */
  controllers?: string[];
}

/** Parses a line of proc_pid_mountinfo(5); " - " ends its optional fields. */
function parseMount(line: string): Mount[] {
  const [before = '', after = ''] = line.split(' - ');
  const [, , , cgroup = '', folder = ''] = before.split(' ').map(unescape);
  const [type, , options = ''] = after.split(' ');
  if (type === 'cgroup2') return [{ cgroup, folder }];
  return type === 'cgroup' ? [{ cgroup, folder, controllers: options.split(',') }] : [];
}

/** The folders from the mounted cgroup down to that of this process. */
function listFolders({ cgroup, folder }: Mount, path: string): string[] {
  // Both paths are relative to the same cgroup namespace; a path outside the mount is not visible.
  const inside = posix.relative(cgroup, path);
  const names = inside.startsWith('..') ? [] : inside.split('/').filter((name) => name !== '');
  return [...Array(names.length + 1).keys()].map((count) => join(folder, ...names.slice(0, count)));
}

/** In cores: quota divided by period, both in microseconds. "max" or -1 means no limit. */
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

/** Empty if the file does not exist: on other systems, without cgroups, in the outermost cgroup. */
function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** Decodes octal escapes: a space in a path is `\040`. */
function unescape(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, code: string) =>
    String.fromCharCode(parseInt(code, 8)),
  );
}
