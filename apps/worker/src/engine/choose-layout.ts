import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, posix } from 'node:path';
import type { ExecutionProvider } from '../models/open-session.js';

/** How one worker uses the cores or devices of its machine. */
export interface EngineLayout {
  /** Threads that each have loaded models and run one batch at a time. */
  engines: number;
  /** ONNX Runtime's CPU threads within one run. */
  intraOpThreads: number;
  /** Most images in one batch. */
  maxBatch: number;
}

/** The configured parts of a layout; undefined parts are chosen by measuring. */
export type LayoutSettings = { [Part in keyof EngineLayout]: EngineLayout[Part] | undefined };

export interface Machine {
  executionProvider: ExecutionProvider;
  cpus: number;
  /** Number of accelerators; not used on the CPU. */
  devices: number;
}

/** Open engines of one layout, to be measured. */
export interface Trial {
  /** Images per second when every engine runs batches of this size. */
  measure(batch: number): Promise<number>;
  close(): Promise<void>;
}

export type OpenTrial = (layout: Omit<EngineLayout, 'maxBatch'>) => Promise<Trial>;

/** Least speed-up for which a layout is chosen: on a shared machine, smaller ones are noise. */
const CLEARLY_FASTER = 1.1;

interface BatchSteps {
  /** Each measured batch is this many times the previous one. */
  factor: number;
  largest: number;
  /** Least speed-up of a step. */
  gain: number;
}

const CPU_BATCHES: BatchSteps = { factor: 2, largest: 8, gain: CLEARLY_FASTER };
/** Few sizes, because each takes seconds to prepare: see `padRunFor`. A step is two doublings. */
const DEVICE_BATCHES: BatchSteps = { factor: 4, largest: 64, gain: CLEARLY_FASTER ** 2 };

/**
 * Engines for each accelerator. An engine's thread draws frames and crops for three quarters of a
 * run, when an H100 would be idle: with 1, 2 and 4 engines it checked 370, 625 and 1409 decoded
 * selfies/s (2026-11-26). More engines take longer to warm up.
 */
const ENGINES_PER_DEVICE = 4;

/**
 * Chooses the parts of the layout that are not configured, by measuring the models on this machine.
 * On a tie, more engines and smaller batches win, because they answer sooner.
 */
export async function chooseLayout(
  settings: LayoutSettings,
  machine: Machine,
  openTrial: OpenTrial,
): Promise<EngineLayout> {
  return machine.executionProvider === 'cpu'
    ? await chooseOnCpu(settings, machine, openTrial)
    : await chooseOnDevices(settings, machine, openTrial);
}

/**
 * The number of engines is known, as many as feed the devices and leave half of the cores for
 * decoding. The batch is measured with one engine for each device, because each engine needs
 * seconds for every new tensor size.
 */
async function chooseOnDevices(
  settings: LayoutSettings,
  { cpus, devices }: Machine,
  openTrial: OpenTrial,
): Promise<EngineLayout> {
  const cores = Math.floor(cpus / (2 * devices));
  const perDevice = Math.max(1, Math.min(ENGINES_PER_DEVICE, cores));
  const { engines = devices * perDevice, intraOpThreads = 1, maxBatch } = settings;
  if (maxBatch) return { engines, intraOpThreads, maxBatch };

  const trial = await openTrial({ engines: Math.min(engines, devices), intraOpThreads });
  const batch = await chooseBatch(trial, await trial.measure(1), DEVICE_BATCHES);
  await trial.close();
  return { engines, intraOpThreads, maxBatch: batch };
}

/** First engines and threads, with one image a batch; then the batch. */
async function chooseOnCpu(
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
  const batch = maxBatch ?? (await chooseBatch(trial, rate, CPU_BATCHES));
  await trial.close();
  return { ...split, maxBatch: batch };
}

/** All cores as engines of one, two or four threads each. */
function listSplits(settings: LayoutSettings, { cpus }: Machine) {
  const threads = settings.intraOpThreads ? [settings.intraOpThreads] : [1, 2, 4];
  return threads
    .filter((count) => count <= cpus || settings.intraOpThreads)
    .map((intraOpThreads) => ({
      engines: settings.engines ?? Math.max(1, Math.floor(cpus / intraOpThreads)),
      intraOpThreads,
    }));
}

/** Enlarges the batch, from one image, while that is clearly faster. */
async function chooseBatch(
  trial: Trial,
  rateOfOne: number,
  { factor, largest, gain }: BatchSteps,
): Promise<number> {
  let best = { batch: 1, rate: rateOfOne };
  while (best.batch < largest) {
    const batch = factor * best.batch;
    const rate = await trial.measure(batch);
    if (rate < gain * best.rate) break;
    best = { batch, rate };
  }
  return best.batch;
}

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
