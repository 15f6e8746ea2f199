import type { ExecutionProvider } from '../onnx/execution-providers.js';

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
export type LayoutWishes = { [Part in keyof EngineLayout]: EngineLayout[Part] | undefined };

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
 * Chooses what the wishes leave open, by measuring the models on this machine. First how engines
 * and threads share the cores, with one image per run; then the batch, doubled for as long as that
 * is clearly faster. On a tie, more engines and smaller batches win: they answer sooner.
 */
export async function chooseLayout(
  wishes: LayoutWishes,
  machine: Machine,
  openTrial: OpenTrial,
): Promise<EngineLayout> {
  const { maxBatch } = wishes;
  const splits = listSplits(wishes, machine);
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
function listSplits(wishes: LayoutWishes, { executionProvider, cpus, devices }: Machine) {
  if (executionProvider !== 'cpu') {
    const { engines = devices, intraOpThreads = 1 } = wishes;
    return [{ engines, intraOpThreads }];
  }
  const threads = wishes.intraOpThreads ? [wishes.intraOpThreads] : [1, 2, 4];
  return threads
    .filter((count) => count <= cpus || wishes.intraOpThreads)
    .map((intraOpThreads) => ({
      engines: wishes.engines ?? Math.max(1, Math.floor(cpus / intraOpThreads)),
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
