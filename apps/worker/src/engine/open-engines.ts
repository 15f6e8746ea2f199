import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@livegate/core/telemetry';
import type { Picture } from '../inference/picture.js';
import { chooseLayout, type EngineLayout, type LayoutSettings } from './choose-layout.js';
import { countCpus } from './count-cpus.js';
import {
  type AssessedRun,
  type Engine,
  EngineCrash,
  type EngineSpec,
  openEngine,
} from './open-engine.js';

export interface EnginesConfig extends Omit<
  EngineSpec,
  'deviceId' | 'intraOpThreads' | 'maxBatch'
> {
  layout: LayoutSettings;
  /** Number of accelerators over which the engines are spread. */
  devices: number;
  /** Opens one engine after another, with rests: the engines of another set use the same cores. */
  oneByOne?: boolean;
}

export interface Engines {
  layout: EngineLayout;
  /**
   * Runs one batch of at most `layout.maxBatch` pictures; a batch waits while all engines are busy.
   */
  assess(pictures: Picture[]): Promise<AssessedRun>;
  /** Milliseconds since the start of the longest present run; 0 without a run. */
  longestRunMs(): number;
  close(): Promise<void>;
}

export type OpenEngines = (config: EnginesConfig, deps: SupervisorDeps) => Promise<Engines>;

/** About ten runs on a CPU: enough against noise, and short enough for a start. */
const MEASURE_MS = 200;

/** Opens and warms up the engines. Rejects with the reason when a model cannot be opened. */
export const openEngines: OpenEngines = async (config, deps) => {
  const { layout: settings, devices, oneByOne = false, ...spec } = config;
  const machine = { executionProvider: spec.executionProvider, cpus: countCpus(), devices };
  const open = (index: number, layout: Pick<EngineSpec, 'intraOpThreads' | 'maxBatch'>) =>
    openEngine({ ...spec, ...layout, deviceId: index % devices });

  const layout = await chooseLayout(
    settings,
    machine,
    async ({ engines: count, intraOpThreads }) => {
      const engines = await openAll(count, (index) => open(index, { intraOpThreads }));
      return {
        measure: (batch) => measureRate(engines, batch),
        close: () => closeAll(engines),
      };
    },
  );
  const pace = oneByOne ? restAfter : start;
  const openWarm = async (index: number) => {
    const engine = await pace(() => open(index, layout));
    try {
      await pace(() => engine.warmUp(layout.maxBatch));
      // Awaited: ONNX Runtime aborts a process that ends during a run.
      for (let run = 0; run < PRACTICE_RUNS; run++) await pace(engine.runPractice);
      return engine;
    } catch (error) {
      await engine.close();
      throw error;
    }
  };
  const superviseWarm = (index: number) => superviseEngine(() => openWarm(index), deps);
  const engines = oneByOne
    ? await openInTurn(layout.engines, superviseWarm)
    : await openAll(layout.engines, superviseWarm);

  return {
    layout,
    assess: (pictures) => chooseEngine(engines).assess(pictures),
    longestRunMs: () => Math.max(...engines.map((engine) => engine.runMs())),
    close: () => closeAll(engines),
  };
};

/** An idle engine, or else the one with the fewest runs whose present run is the longest. */
function chooseEngine(engines: SupervisedEngine[]): SupervisedEngine {
  return engines.toSorted((a, b) => a.runs() - b.runs() || b.runMs() - a.runMs())[0]!;
}

/**
 * The first run of a thread takes four to five times as long as one of code that V8 has optimized, the
 * next ones some twice as long. A third one would delay the start by more than it saves.
 */
const PRACTICE_RUNS = 2;

/** Longest rest, in milliseconds: an accelerator may take minutes for a step, and few cores. */
const MAX_REST_MS = 500;

/** Rests for as long as the step took, so that it takes half a core on average. */
async function restAfter<Result>(step: () => Promise<Result>): Promise<Result> {
  const started = performance.now();
  const result = await step();
  await sleep(Math.min(performance.now() - started, MAX_REST_MS));
  return result;
}

function start<Result>(step: () => Promise<Result>): Promise<Result> {
  return step();
}

type Closable = Pick<Engine, 'close'>;

/** Opens all at the same time. If one fails, closes the others and rejects with its reason. */
async function openAll<Opened extends Closable>(
  count: number,
  open: (index: number) => Promise<Opened>,
): Promise<Opened[]> {
  const ended = await Promise.allSettled(Array.from({ length: count }, (_, i) => open(i)));
  const opened = ended.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
  const failed = ended.find((end) => end.status === 'rejected');
  if (!failed) return opened;
  await closeAll(opened);
  throw failed.reason;
}

/** The same, one after another. */
async function openInTurn<Opened extends Closable>(
  count: number,
  open: (index: number) => Promise<Opened>,
): Promise<Opened[]> {
  const opened: Opened[] = [];
  try {
    while (opened.length < count) opened.push(await open(opened.length));
    return opened;
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

async function closeAll(engines: Closable[]): Promise<void> {
  await Promise.all(engines.map((engine) => engine.close()));
}

/** Images per second of all engines together, in batches of this size. */
async function measureRate(engines: Engine[], batch: number): Promise<number> {
  await Promise.all(engines.map((engine) => engine.runEmpty(batch)));
  const started = performance.now();
  const counts = await Promise.all(
    engines.map(async (engine) => {
      let images = 0;
      for (; performance.now() - started < MEASURE_MS; images += batch)
        await engine.runEmpty(batch);
      return images;
    }),
  );
  return (1000 * counts.reduce((a, b) => a + b)) / (performance.now() - started);
}

export interface SupervisedEngine extends Pick<Engine, 'assess' | 'close'> {
  /** Unanswered runs; all but one of them wait. */
  runs(): number;
  /** Milliseconds since the start of the present run; 0 between runs. */
  runMs(): number;
}

export interface SupervisorDeps {
  log: Log;
  /** Called when no engine can be opened to replace a crashed one. */
  onLost(): void;
}

/**
 * An engine that is replaced when its thread crashes. Runs that arrive meanwhile wait for the
 * replacement. The crashed runs reject, because their pixels are lost with the thread.
 */
export async function superviseEngine(
  open: () => Promise<Engine>,
  { log, onLost }: SupervisorDeps,
): Promise<SupervisedEngine> {
  let current = Promise.resolve(await open());
  let runs = 0;
  let runningSince: number | undefined;

  return {
    async assess(pictures) {
      runs++;
      const used = current;
      try {
        const engine = await used;
        runningSince ??= performance.now();
        return await engine.assess(pictures);
      } catch (error) {
        // Every queued request rejects; only the first rejection opens a replacement.
        if (error instanceof EngineCrash && used === current) replace(error);
        throw error;
      } finally {
        runs--;
        // A run that waits for a replacement is not running: opening it may take minutes.
        runningSince = runs > 0 && used === current ? performance.now() : undefined;
      }
    },
    runs: () => runs,
    runMs: () => (runningSince === undefined ? 0 : performance.now() - runningSince),
    async close() {
      await (await current).close();
    },
  };

  function replace(crash: EngineCrash): void {
    log.error({ err: crash }, 'engine crashed, opening a replacement');
    current = open();
    current.catch((error: unknown) => {
      log.fatal({ err: error }, 'engine replacement failed');
      onLost();
    });
  }
}
