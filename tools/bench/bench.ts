import type { EngineLayout } from '@livegate/worker/engine/choose-layout';
import type { Pipeline } from '@livegate/worker/scheduling/schedule-images';
import { formatTable } from '../format-table.js';
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

/** One measured number, and what it should be. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  aim?: { atLeast: number } | { atMost: number };
}

export function describeFigures(figures: Figure[]): string {
  return formatTable(
    ['figure', 'value', 'unit', 'aim', ''],
    figures.map((figure) => [
      figure.name,
      formatNumber(figure.value),
      figure.unit,
      describeAim(figure),
      judge(figure),
    ]),
  );
}

function describeAim({ aim }: Figure): string {
  if (!aim) return '';
  return 'atLeast' in aim ? `>= ${aim.atLeast}` : `<= ${aim.atMost}`;
}

function judge({ value, aim }: Figure): string {
  if (!aim) return '';
  return ('atLeast' in aim ? value >= aim.atLeast : value <= aim.atMost) ? 'reached' : 'missed';
}

/** Three digits that count; counts in full. */
export function formatNumber(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
