import { formatTable } from '../format-table.js';

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
