import type { EngineLayout } from '@livegate/worker/engine/choose-layout';
import type { ImageScheduler } from '@livegate/worker/scheduling/schedule-images';
import { formatTable } from '../format-table.js';
import type { Photos } from './photos.js';

/** The arguments of every part. */
export interface Bench {
  /** Variables for every program: Redis, models, and one engine layout, so that results compare. */
  env: Record<string, string>;
  modelsDir: string;
  layout: EngineLayout;
  /** A worker's pipeline in this process, without HTTP and Redis. */
  pipeline: ImageScheduler;
  /** Figures that name no photo use the selfie. */
  photos: Photos;
  /** Duration of one measurement. */
  seconds: number;
  rounds: number;
  /** The sources of Silent-Face, if they are there. */
  pythonDir: string | undefined;
  /** Where results are written. */
  outDir: string;
}

/** Measures related figures, and prints further results with `say`. */
export type Part = (bench: Bench, say: (line: string) => void) => Promise<Figure[]>;

/** A measured number and its aim. */
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

/** Three significant digits, and all digits before the decimal point. */
export function formatNumber(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
