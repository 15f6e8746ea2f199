import type { Picture } from '../inference/picture.js';
import {
  chooseLayout,
  countCpus,
  type EngineLayout,
  type LayoutSettings,
} from './choose-layout.js';
import { type AssessedRun, type Engine, type EngineSpec, openEngine } from './open-engine.js';
import { superviseEngine, type SupervisorDeps, type SupervisedEngine } from './supervise-engine.js';

export interface EnginesConfig extends Omit<
  EngineSpec,
  'deviceId' | 'intraOpThreads' | 'maxBatch'
> {
  /** Parts that are undefined are chosen by measuring. */
  layout: LayoutSettings;
  /** Number of accelerators over which the engines are spread. */
  devices: number;
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
export const openEngines: OpenEngines = async ({ layout: settings, devices, ...spec }, deps) => {
  const machine = { executionProvider: spec.executionProvider, cpus: countCpus(), devices };
  const open = (index: number, layout: Pick<EngineSpec, 'intraOpThreads' | 'maxBatch'>) =>
    openEngine({ ...spec, ...layout, deviceId: index % devices });

  const layout = await chooseLayout(
    settings,
    machine,
    async ({ engines: count, intraOpThreads }) => {
      const engines = await repeat(count, (index) => open(index, { intraOpThreads }));
      return {
        measure: (batch) => measureRate(engines, batch),
        close: () => closeAll(engines),
      };
    },
  );
  const openWarm = async (index: number) => {
    const engine = await open(index, layout);
    try {
      await engine.warmUp(layout.maxBatch);
    } catch (error) {
      await engine.close();
      throw error;
    }
    return engine;
  };
  const engines = await repeat(layout.engines, (index) =>
    superviseEngine(() => openWarm(index), deps),
  );

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

function repeat<Result>(count: number, make: (index: number) => Promise<Result>) {
  return Promise.all(Array.from({ length: count }, (_, index) => make(index)));
}

async function closeAll(engines: Pick<Engine, 'close'>[]): Promise<void> {
  await Promise.all(engines.map((engine) => engine.close()));
}

/** Images per second of all engines together, in batches of this size. */
async function measureRate(engines: Engine[], batch: number): Promise<number> {
  await Promise.all(engines.map((engine) => engine.rehearse(batch)));
  const started = performance.now();
  const counts = await Promise.all(
    engines.map(async (engine) => {
      let images = 0;
      for (; performance.now() - started < MEASURE_MS; images += batch)
        await engine.rehearse(batch);
      return images;
    }),
  );
  return (1000 * counts.reduce((a, b) => a + b)) / (performance.now() - started);
}
