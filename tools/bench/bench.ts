import type { Pipeline } from '@livegate/worker/pipeline';
import type { EngineLayout } from '@livegate/worker/engine/choose-layout';
import type { Figure } from './figure.js';
import type { Photos } from './photos.js';

/** What every part of the bench is given. */
export interface Bench {
  /** Of every program: the Redis, the models, and one engine layout for all that are compared. */
  env: Record<string, string>;
  modelsDir: string;
  layout: EngineLayout;
  /** In this process, without HTTP or Redis: what a worker's engines can do. */
  pipeline: Pipeline;
  /** The selfie is that of all figures that do not name another. */
  photos: Photos;
  /** How long one measurement takes, in seconds. */
  seconds: number;
  rounds: number;
  /** Where the latency curve is drawn, as SVG. */
  curvePath: string;
}

/** Measures some figures that belong together; says what is not a figure. */
export type Part = (bench: Bench, say: (line: string) => void) => Promise<Figure[]>;
