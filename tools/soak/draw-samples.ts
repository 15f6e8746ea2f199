import { formatNumber } from '../bench/bench.js';
import { type Measure, measures, type Sample } from './sample.js';

const COLUMNS = 2;
const WIDTH = 360;
const HEIGHT = 110;
const LEFT = 12;
const TOP = 26;
const PLOT_HEIGHT = 64;

/** An SVG with one small plot per measure; every plot begins at zero. The gray part is warm-up. */
export function drawSamples(samples: Sample[], warmUp: number): string {
  const names = Object.keys(measures) as Measure[];
  const rows = Math.ceil(names.length / COLUMNS);
  const plots = names.map((name, i) => {
    const [left, top] = [WIDTH * (i % COLUMNS), HEIGHT * Math.floor(i / COLUMNS)];
    const values = samples.map((sample) => sample[name]);
    return `<g transform="translate(${left} ${top})">${drawPlot(name, values, warmUp)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${COLUMNS * WIDTH} ${rows * HEIGHT}" font-size="11" font-family="sans-serif">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    ...plots,
    '</svg>\n',
  ].join('\n');
}

function drawPlot(name: string, values: number[], warmUp: number): string {
  const width = WIDTH - 2 * LEFT;
  const known = values.filter((value) => Number.isFinite(value));
  const most = Math.max(...known, 1e-9);
  const x = (i: number) => LEFT + (width * i) / Math.max(values.length - 1, 1);
  const y = (value: number) => TOP + PLOT_HEIGHT * (1 - value / most);
  const points = values.flatMap((value, i) =>
    Number.isFinite(value) ? [`${x(i).toFixed(1)},${y(value).toFixed(1)}`] : [],
  );
  const last = known.at(-1) ?? Number.NaN;
  const range = `most ${formatNumber(most)}, last ${formatNumber(last)}`;
  return (
    `<rect x="${LEFT}" y="${TOP}" width="${(x(warmUp) - LEFT).toFixed(1)}" height="${PLOT_HEIGHT}" fill="#eee"/>` +
    `<text x="${LEFT}" y="16">${name}</text>` +
    `<text x="${WIDTH - LEFT}" y="16" text-anchor="end" fill="#666">${range}</text>` +
    `<line x1="${LEFT}" y1="${y(0)}" x2="${WIDTH - LEFT}" y2="${y(0)}" stroke="#999"/>` +
    `<polyline points="${points.join(' ')}" fill="none" stroke="#1f6feb" stroke-width="1.5"/>`
  );
}
