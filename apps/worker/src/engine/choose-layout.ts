import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, posix } from 'node:path';
import type { ExecutionProvider } from '../models/open-session.js';

/** How the engines of one worker are laid out on its machine. */
export interface EngineLayout {
  /** Threads with open models of their own; each does one run at a time. */
  engines: number;
  /** CPU threads inside one model run. */
  intraOpThreads: number;
  /** Most images in one run. */
  maxBatch: number;
}

/** What is settled by configuration; the rest is chosen by measuring. */
export type LayoutSettings = { [Part in keyof EngineLayout]: EngineLayout[Part] | undefined };

export interface Machine {
  executionProvider: ExecutionProvider;
  cpus: number;
  /** Accelerators, for any provider but the CPU. */
  devices: number;
}

/** Engines of one layout, open to be measured. */
export interface Trial {
  /** Images per second when every engine does runs of so many images. */
  measure(batch: number): Promise<number>;
  close(): Promise<void>;
}

export type OpenTrial = (layout: Omit<EngineLayout, 'maxBatch'>) => Promise<Trial>;

/** A machine that others share is noisy: what is not clearly faster is not chosen. */
const CLEARLY_FASTER = 1.1;
const LARGEST_BATCH = { cpu: 8, accelerator: 64 };

/**
 * Chooses what the settings leave open, by measuring the models on this machine. First how engines
 * and threads share the cores, with one image per run; then the batch, doubled for as long as that
 * is clearly faster. On a tie, more engines and smaller batches win: they answer sooner.
 */
export async function chooseLayout(
  settings: LayoutSettings,
  machine: Machine,
  openTrial: OpenTrial,
): Promise<EngineLayout> {
  const { maxBatch } = settings;
  const splits = listSplits(settings, machine);
  if (splits.length === 1 && maxBatch) return { ...splits[0]!, maxBatch };

  let best: { split: (typeof splits)[number]; trial: Trial; rate: number } | undefined;
  for (const split of splits) {
    const trial = await openTrial(split);
    const rate = await trial.measure(1);
    const faster = !best || rate > CLEARLY_FASTER * best.rate;
    await (faster ? best?.trial : trial)?.close();
    if (faster) best = { split, trial, rate };
  }
  const { split, trial, rate } = best!;
  const batch = maxBatch ?? (await chooseBatch(trial, rate, machine));
  await trial.close();
  return { ...split, maxBatch: batch };
}

/** All cores, by engines of one thread each, of two, or of four; one engine for an accelerator. */
function listSplits(settings: LayoutSettings, { executionProvider, cpus, devices }: Machine) {
  if (executionProvider !== 'cpu') {
    const { engines = devices, intraOpThreads = 1 } = settings;
    return [{ engines, intraOpThreads }];
  }
  const threads = settings.intraOpThreads ? [settings.intraOpThreads] : [1, 2, 4];
  return threads
    .filter((count) => count <= cpus || settings.intraOpThreads)
    .map((intraOpThreads) => ({
      engines: settings.engines ?? Math.max(1, Math.floor(cpus / intraOpThreads)),
      intraOpThreads,
    }));
}

async function chooseBatch(
  trial: Trial,
  rateOfOne: number,
  { executionProvider }: Machine,
): Promise<number> {
  const largest = executionProvider === 'cpu' ? LARGEST_BATCH.cpu : LARGEST_BATCH.accelerator;
  let best = { batch: 1, rate: rateOfOne };
  while (best.batch < largest) {
    const batch = 2 * best.batch;
    const rate = await trial.measure(batch);
    if (rate < CLEARLY_FASTER * best.rate) break;
    best = { batch, rate };
  }
  return best.batch;
}

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
