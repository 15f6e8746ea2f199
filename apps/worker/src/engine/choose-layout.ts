import type { ExecutionProvider } from '../models/execution-providers.js';

/** How one worker uses the cores or devices of its machine. */
export interface EngineLayout {
  /** Threads that each have loaded models and run one batch at a time. */
  engines: number;
  /** ONNX Runtime's CPU threads within one run. */
  intraOpThreads: number;
  /** Most images in one batch. */
  maxBatch: number;
}

/** The configured parts of a layout; undefined parts get their default, or are chosen by measuring. */
export type LayoutSettings = { [Part in keyof EngineLayout]: EngineLayout[Part] | undefined } & {
  /** On a CPU, measures whether another layout is faster than the default one. */
  measure?: boolean;
};

export interface Machine {
  executionProvider: ExecutionProvider;
  cpus: number;
  /** Number of accelerators; not used on the CPU. */
  devices: number;
}

/** Open engines of one layout, to be measured. */
export interface Candidate {
  /** Images per second when every engine runs batches of this size. */
  measure(batch: number): Promise<number>;
  close(): Promise<void>;
}

type Split = Omit<EngineLayout, 'maxBatch'>;

export type OpenCandidate = (split: Split) => Promise<Candidate>;

/** Least speed-up for which another layout is chosen. */
const CLEARLY_FASTER = 1.1;

interface BatchSteps {
  /** Each measured batch is this many times larger or smaller than the one before. */
  factor: number;
  largest: number;
  /** Least speed-up of a step. */
  gain: number;
  rounds: number;
}

/** Two images of one tenant share messages between threads and to Redis; more add little. */
const CPU_BATCH = 2;
const CPU_BATCHES: BatchSteps = { factor: 2, largest: 8, gain: CLEARLY_FASTER, rounds: 7 };
/**
 * Few sizes and rounds, because each change of the size takes seconds: see `padRunFor`. A step is
 * two doublings.
 */
const DEVICE_BATCHES: BatchSteps = {
  factor: 4,
  largest: 64,
  gain: CLEARLY_FASTER ** 2,
  rounds: 3,
};

/** Measured on an H100 (docs/explanation/performance.md). */
const DEVICE_BATCH = 16;

/**
 * Engines for each accelerator. An engine's thread draws frames and crops for most of a run, when an
 * H100 would be idle: with 1 and 4 engines it checked 195 and 848 decoded selfies/s (2026-11-27), and
 * the main thread decodes no more than 873 (2026-11-26). More engines take longer to warm up.
 */
const ENGINES_PER_DEVICE = 4;

/**
 * Chooses the parts of the layout that are not configured. The default on a CPU is one engine for
 * each core, with one thread and two images in a run. A short measurement at the start of a busy
 * machine may be wrong, and then stays wrong until the next start. So another layout is chosen only
 * where measuring is asked for, or on an accelerator, and only if it beats the default clearly and
 * repeatedly.
 */
export async function chooseLayout(
  settings: LayoutSettings,
  machine: Machine,
  openCandidate: OpenCandidate,
): Promise<EngineLayout> {
  return machine.executionProvider === 'cpu'
    ? await chooseOnCpu(settings, machine, openCandidate)
    : await chooseOnDevices(settings, machine, openCandidate);
}

/**
 * The number of engines is not measured: enough to keep the devices busy, and to leave half of the
 * cores for decoding. The batch is measured with one engine for each device, because each engine
 * needs seconds for every new tensor size.
 */
async function chooseOnDevices(
  settings: LayoutSettings,
  { cpus, devices }: Machine,
  openCandidate: OpenCandidate,
): Promise<EngineLayout> {
  const cores = Math.floor(cpus / (2 * devices));
  const perDevice = Math.max(1, Math.min(ENGINES_PER_DEVICE, cores));
  const { engines = devices * perDevice, intraOpThreads = 1, maxBatch } = settings;
  if (maxBatch) return { engines, intraOpThreads, maxBatch };

  const candidate = await openCandidate({ engines: Math.min(engines, devices), intraOpThreads });
  const batch = await chooseBatch(candidate, DEVICE_BATCH, DEVICE_BATCHES);
  await candidate.close();
  return { engines, intraOpThreads, maxBatch: batch };
}

async function chooseOnCpu(
  settings: LayoutSettings,
  machine: Machine,
  openCandidate: OpenCandidate,
): Promise<EngineLayout> {
  const [first, ...others] = listSplits(settings, machine);
  const { maxBatch, measure = false } = settings;
  const batch = maxBatch ?? CPU_BATCH;
  const nothingToMeasure = others.length === 0 && maxBatch !== undefined;
  if (!measure || nothingToMeasure) return { ...first!, maxBatch: batch };

  let best = { split: first!, candidate: await openCandidate(first!) };
  for (const split of others) {
    const candidate = await openCandidate(split);
    const contest = { gain: CLEARLY_FASTER, rounds: CPU_BATCHES.rounds };
    const wins = await beats(
      () => candidate.measure(batch),
      () => best.candidate.measure(batch),
      contest,
    );
    await (wins ? best.candidate : candidate).close();
    if (wins) best = { split, candidate };
  }
  const chosen = maxBatch ?? (await chooseBatch(best.candidate, batch, CPU_BATCHES));
  await best.candidate.close();
  return { ...best.split, maxBatch: chosen };
}

/** All cores as engines of one, two or four threads each; the default split is the first. */
function listSplits(settings: LayoutSettings, { cpus }: Machine): Split[] {
  const threads = settings.intraOpThreads ? [settings.intraOpThreads] : [1, 2, 4];
  return threads
    .filter((count) => count <= cpus || settings.intraOpThreads)
    .map((intraOpThreads) => ({
      engines: settings.engines ?? Math.max(1, Math.floor(cpus / intraOpThreads)),
      intraOpThreads,
    }));
}

/** Enlarges the default batch, or else reduces it, while that is clearly faster. */
async function chooseBatch(
  candidate: Candidate,
  start: number,
  { factor, largest, ...contest }: BatchSteps,
): Promise<number> {
  const climb = async (from: number, next: (batch: number) => number): Promise<number> => {
    const batch = next(from);
    if (batch < 1 || batch > largest) return from;
    const wins = await beats(
      () => candidate.measure(batch),
      () => candidate.measure(from),
      contest,
    );
    return wins ? await climb(batch, next) : from;
  };
  const larger = await climb(start, (batch) => batch * factor);
  return larger > start ? larger : await climb(start, (batch) => batch / factor);
}

/**
 * Measures both in turns. The challenger wins if it is clearly faster in every round. While another
 * program uses half of the cores at random times, it wins one round in four by chance, and seven in
 * a row once in 16,000 cases.
 */
async function beats(
  challenger: () => Promise<number>,
  current: () => Promise<number>,
  { gain, rounds }: { gain: number; rounds: number },
): Promise<boolean> {
  for (let round = 0; round < rounds; round++) {
    const rate = await current();
    if ((await challenger()) < gain * rate) return false;
  }
  return true;
}
