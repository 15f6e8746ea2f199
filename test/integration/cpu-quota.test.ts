import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, type TestContext } from 'vitest';

const cores = availableParallelism();
const PERIOD_US = 100_000;

/** Prints the layout that a worker chooses on a CPU; it fails if it measures. */
const program = `
  import { chooseLayout } from '@livegate/worker/engine/choose-layout';
  import { countCpus } from '@livegate/worker/engine/count-cpus';
  const machine = { executionProvider: 'cpu', cpus: countCpus(), devices: 1 };
  const measure = () => Promise.reject(new Error('measured'));
  console.log(JSON.stringify(await chooseLayout({}, machine, measure)));
`;

function chooseWith(command: string, ...args: string[]): unknown {
  const node = [process.execPath, '--input-type=module', '--eval', program];
  return JSON.parse(execFileSync(command, [...args, ...node], { encoding: 'utf8' }));
}

/** Runs the program in a new cgroup, after these files of the group were written. */
function chooseInGroup(parent: string, limits: Record<string, string>): unknown {
  const group = join(parent, `livegate-test-${process.pid}`);
  mkdirSync(group);
  onTestFinished(() => rmdirSync(group));
  for (const [file, value] of Object.entries(limits)) writeFileSync(join(group, file), value);
  const enter = `echo $$ > ${join(group, 'cgroup.procs')} && exec "$@"`;
  return chooseWith('sh', '-c', enter, 'sh');
}

/** The mount points of cgroups with this file system and, for version 1, the controller `cpu`. */
function findMounts(type: 'cgroup' | 'cgroup2'): string[] {
  if (!existsSync('/proc/mounts')) return [];
  const lines = readFileSync('/proc/mounts', 'utf8').split('\n');
  return lines
    .map((line) => line.split(' '))
    .filter(([, , found, options = '']) => found === type && canLimit(type, options))
    .map(([, folder = '']) => folder);

  function canLimit(of: typeof type, options: string): boolean {
    return options.split(',').includes('rw') && (of === 'cgroup2' || hasCpu(options));
  }
}

const hasCpu = (options: string) => options.split(',').includes('cpu');

const layoutOf = (engines: number) => ({ engines, intraOpThreads: 1, maxBatch: 2 });

/** A quota is below the cores, and not a whole number of them. */
function skipUnlessPossible(context: TestContext, isPossible: boolean, reason: string): void {
  if (cores < 2) context.skip('a quota cannot be told from one core');
  if (process.getuid?.() !== 0) context.skip('needs root');
  if (!isPossible) context.skip(reason);
}

const quotaUs = (cores - 0.5) * PERIOD_US;

test('a real CPU quota of cgroup version 1 leaves an engine for each whole core of it', (context) => {
  const [mount] = findMounts('cgroup');
  skipUnlessPossible(context, mount !== undefined, 'cgroup version 1 with cpu is not mounted');
  const limits = { 'cpu.cfs_period_us': `${PERIOD_US}`, 'cpu.cfs_quota_us': `${quotaUs}` };
  expect(chooseInGroup(mount!, limits)).toEqual(layoutOf(cores - 1));
});

test('a real CPU quota of cgroup version 2 leaves an engine for each whole core of it', (context) => {
  const mount = findMounts('cgroup2').find((folder) => {
    const controllers = readFileSync(join(folder, 'cgroup.subtree_control'), 'utf8');
    return controllers.split(/\s/).includes('cpu');
  });
  skipUnlessPossible(context, mount !== undefined, 'no cgroup of version 2 gives out cpu');
  const limits = { 'cpu.max': `${quotaUs} ${PERIOD_US}` };
  expect(chooseInGroup(mount!, limits)).toEqual(layoutOf(cores - 1));
});

test('a worker that is pinned to one core has one engine', (context) => {
  if (process.platform !== 'linux') context.skip('needs taskset');
  expect(chooseWith('taskset', '--cpu-list', '0')).toEqual(layoutOf(1));
});
