import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { countCpus } from './count-cpus.js';

const cores = availableParallelism();
/** CPU quotas in microseconds per period of 100 ms. */
const half = 50_000;
const all = cores * 100_000;

/** Counts with /proc and /sys that contain only these files. */
function countWith(files: Record<string, string>): number {
  const root = mkdtempSync(join(tmpdir(), 'livegate-cgroup-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return countCpus(root);
}

/** A mountinfo line of cgroup version 2 that mounts `cgroup`. */
const mount2 = (cgroup = '/', folder = '/sys/fs/cgroup') =>
  `24 18 0:23 / /sys rw - sysfs sysfs rw\n30 24 0:27 ${cgroup} ${folder} rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw\n`;

const mount1 = (cgroup = '/') =>
  `31 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n` +
  `32 30 0:29 ${cgroup} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n`;

const v2 = (path: string, limits: Record<string, string>, mount = mount2()) => ({
  'proc/self/cgroup': `0::${path}\n`,
  'proc/self/mountinfo': mount,
  ...Object.fromEntries(
    Object.entries(limits).map(([at, max]) => [`sys/fs/cgroup${at}/cpu.max`, max]),
  ),
});

const v1 = (path: string, limits: Record<string, [number, number]>, mount = mount1()) => ({
  'proc/self/cgroup': `12:memory:/other\n4:cpu,cpuacct:${path}\n1:name=systemd:/init.scope\n`,
  'proc/self/mountinfo': mount,
  ...Object.fromEntries(
    Object.entries(limits).flatMap(([at, [quota, period]]) => [
      [`sys/fs/cgroup/cpu,cpuacct${at}/cpu.cfs_quota_us`, `${quota}\n`],
      [`sys/fs/cgroup/cpu,cpuacct${at}/cpu.cfs_period_us`, `${period}\n`],
    ]),
  ),
});

describe('countCpus counts all cores', () => {
  it.each<[string, Record<string, string>]>([
    ['without cgroups', {}],
    ['without a limit (version 2)', v2('/', { '': 'max 100000\n' })],
    ['without a limit (version 1)', v1('/', { '': [-1, 100_000] })],
    ['in the outermost cgroup, which has no file', v2('/', {})],
    ['with a limit above them', v2('/', { '': '99900000 100000\n' })],
    ['with a limit of as many', v2('/', { '': `${all} 100000\n` })],
    ['with a limit for others', v2('/a', { '/b': `${half} 100000\n`, '/a/c': `${half} 100000\n` })],
    ['with files that it cannot read', { 'proc/self/cgroup': 'x\n', 'proc/self/mountinfo': '\n' }],
    ['with limits that are not numbers', v2('/', { '': 'many\n' })],
  ])('%s', (_name, files) => {
    expect(countWith(files)).toBe(cores);
  });
});

describe('countCpus counts whole cores of the limit, and at least one,', () => {
  it.each<[string, Record<string, string>]>([
    ['of a container', v2('/', { '': `${half} 100000\n` })],
    ['of 1.99 cores', v2('/', { '': '199000 100000\n' })],
    ['of another period', v2('/', { '': `${half / 10} 10000\n` })],
    [
      'of a systemd unit (CPUQuota=50%)',
      v2('/system.slice/livegate.service', {
        '/system.slice': 'max 100000\n',
        '/system.slice/livegate.service': `${half} 100000\n`,
      }),
    ],
    [
      'of a slice around a unit',
      v2('/a.slice/a-b.slice/c.service', {
        '/a.slice': `${half} 100000\n`,
        '/a.slice/a-b.slice': 'max 100000\n',
        '/a.slice/a-b.slice/c.service': `${all} 100000\n`,
      }),
    ],
    [
      'of a container that sees the path of its host',
      v2('/docker/4f5e', { '': `${half} 100000\n` }, mount2('/docker/4f5e')),
    ],
    [
      'of a cgroup within such a container',
      v2('/docker/4f5e/own', { '/own': `${half} 100000\n` }, mount2('/docker/4f5e')),
    ],
    [
      'of a container whose mount shows less than its own cgroup',
      v2('/', { '': `${half} 100000\n` }, mount2('/../../docker/4f5e')),
    ],
    [
      'at a mount point with a space',
      {
        ...v2('/', {}, mount2('/', String.raw`/mnt/c\040group`)),
        'mnt/c group/cpu.max': `${half} 100000\n`,
      },
    ],
    ['of version 1', v1('/', { '': [half, 100_000] })],
    [
      'of version 1, of a unit',
      v1('/system.slice/a.service', { '/system.slice/a.service': [half, 100_000] }),
    ],
    [
      'of version 1, of a slice',
      v1('/a.slice/b.service', {
        '/a.slice': [half, 100_000],
        '/a.slice/b.service': [-1, 100_000],
      }),
    ],
    [
      'of version 1, of a container that sees the path of its host',
      v1('/docker/4f5e', { '': [half, 100_000] }, mount1('/docker/4f5e')),
    ],
    [
      'of version 1, with a version 2 mount that has no controllers',
      {
        ...v1('/a', { '/a': [half, 100_000] }, mount2('/', '/sys/fs/cgroup/unified') + mount1()),
        'proc/self/cgroup': '4:cpu,cpuacct:/a\n0::/a\n',
      },
    ],
  ])('%s', (_name, files) => {
    expect(countWith(files)).toBe(1);
  });
});
