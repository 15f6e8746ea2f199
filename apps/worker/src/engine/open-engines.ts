import type { Picture } from '../inference/picture.js';
import {
  chooseLayout,
  countCpus,
  type EngineLayout,
  type LayoutSettings,
} from './choose-layout.js';
import { type AssessedRun, type Engine, type EngineSpec, openEngine } from './open-engine.js';
import { superviseEngine, type SupervisorDeps, type SupervisedEngine } from './supervise-engine.js';

export interface EnginesConfig extends Omit<EngineSpec, 'deviceId' | 'intraOpThreads'> {
  /** What it leaves open is chosen by measuring. */
  layout: LayoutSettings;
  /** Accelerators to spread the engines over. */
  devices: number;
}

export interface Engines {
  layout: EngineLayout;
  /** One run, of at most `layout.maxBatch` images; with more runs than engines, some of them wait. */
  assess(pictures: Picture[]): Promise<AssessedRun>;
  /** How long the longest of the present runs has been going; 0 where none is. */
  longestRunMs(): number;
  close(): Promise<void>;
}

export type OpenEngines = (config: EnginesConfig, deps: SupervisorDeps) => Promise<Engines>;

/** Some ten runs on a CPU: past the noise, and too short to be noticed at a start. */
const MEASURE_MS = 200;

/** Opens the engines of this machine, warm. Rejects with the reason when a model cannot be opened. */
export const openEngines: OpenEngines = async ({ layout: settings, devices, ...spec }, deps) => {
  const machine = { executionProvider: spec.executionProvider, cpus: countCpus(), devices };
  const open = (index: number, intraOpThreads: number) =>
    openEngine({ ...spec, intraOpThreads, deviceId: index % devices });

  const layout = await chooseLayout(
    settings,
    machine,
    async ({ engines: count, intraOpThreads }) => {
      const engines = await repeat(count, (index) => open(index, intraOpThreads));
      return {
        measure: (batch) => measureRate(engines, batch),
        close: () => closeAll(engines),
      };
    },
  );
  const openWarm = async (index: number) => {
    const engine = await open(index, layout.intraOpThreads);
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

/** An idle one, or else the one that has been at its run for the longest. */
function chooseEngine(engines: SupervisedEngine[]): SupervisedEngine {
  return engines.toSorted((a, b) => a.runs() - b.runs() || b.runMs() - a.runMs())[0]!;
}

function repeat<Result>(count: number, make: (index: number) => Promise<Result>) {
  return Promise.all(Array.from({ length: count }, (_, index) => make(index)));
}

async function closeAll(engines: Pick<Engine, 'close'>[]): Promise<void> {
  await Promise.all(engines.map((engine) => engine.close()));
}

/** Images per second of all engines together, in runs of so many. */
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
