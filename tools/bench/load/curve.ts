import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatTable } from '../../format-table.js';
import { type Bench, type Part, formatNumber } from '../bench.js';
import { percentile } from '../rounds.js';
import { sendLoad, startNaiveServer, startProduct } from '../product.js';

const CALLERS = [1, 2, 4, 8, 16, 32, 64];

/** Measures latency and throughput for a growing number of callers, and draws `latency.svg`. */
export const measureCurve: Part = async (bench, say) => {
  const product = await startProduct(bench);
  const naive = await startNaiveServer(bench);
  const points: CurvePoint[] = [];
  try {
    for (const callers of CALLERS) {
      points.push(
        ...(await measureLatency(bench, { server: 'Livegate', url: product.urls[0]!, callers })),
      );
      points.push(...(await measureLatency(bench, { server: 'naive', url: naive.url, callers })));
    }
  } finally {
    await Promise.all([product.stop(), naive.stop()]);
  }
  const lines = points.map((point) => [
    `${point.server} ${point.measure}`,
    ...[point.callers, point.perSecond, point.ms].map(formatNumber),
  ]);
  say(formatTable(['', 'callers', 'images/s', 'ms'], lines));
  await writeFile(join(bench.outDir, 'latency.svg'), drawCurve(points));
  return [];
};

async function measureLatency(
  { photos, seconds }: Bench,
  { server, url, callers }: { server: CurvePoint['server']; url: string; callers: number },
): Promise<CurvePoint[]> {
  const load = { image: photos.selfie, connections: callers, seconds };
  const { perSecond, latenciesMs } = await sendLoad(url, load);
  const at = (share: number) => percentile(latenciesMs, share);
  const common = { server, callers, perSecond };
  return [
    { ...common, measure: 'p50', ms: at(0.5) },
    { ...common, measure: 'p99', ms: at(0.99) },
  ];
}

interface CurvePoint {
  server: 'Livegate' | 'naive';
  measure: 'p50' | 'p99';
  callers: number;
  perSecond: number;
  ms: number;
}

const WIDTH = 720;
const HEIGHT = 420;
const MARGIN = 60;
const COLORS = { Livegate: '#1f6feb', naive: '#d9730d' };

/** An SVG of latency (logarithmic) over throughput; p99 is dashed. */
function drawCurve(points: CurvePoint[]): string {
  const mostPerSecond = 10 * Math.ceil(Math.max(...points.map((at) => at.perSecond)) / 10);
  const decades = [
    Math.floor(Math.log10(Math.min(...points.map(({ ms }) => ms)))),
    Math.ceil(Math.log10(Math.max(...points.map(({ ms }) => ms)))),
  ] as const;
  const x = (perSecond: number) => MARGIN + (perSecond / mostPerSecond) * (WIDTH - 2 * MARGIN);
  const y = (ms: number) =>
    HEIGHT -
    MARGIN -
    ((Math.log10(ms) - decades[0]) / (decades[1] - decades[0])) * (HEIGHT - 2 * MARGIN);
  const grid = [
    ...Array.from({ length: 6 }, (_, i) => (i * mostPerSecond) / 5).map((value) =>
      gridLine([x(value), HEIGHT - MARGIN, x(value), MARGIN], formatNumber(value)),
    ),
    ...Array.from({ length: decades[1] - decades[0] + 1 }, (_, i) => 10 ** (decades[0] + i)).map(
      (value) =>
        gridLine([MARGIN, y(value), WIDTH - MARGIN, y(value)], `${formatNumber(value)} ms`),
    ),
  ];
  const curves = (['Livegate', 'naive'] as const).flatMap((server) =>
    (['p50', 'p99'] as const).map((measure) => {
      const own = points.filter((at) => at.server === server && at.measure === measure);
      const path = own
        .map((at) => `${x(at.perSecond).toFixed(1)},${y(at.ms).toFixed(1)}`)
        .join(' ');
      const dash = measure === 'p99' ? ' stroke-dasharray="5 4"' : '';
      const callers = measure === 'p50' ? own : [];
      const labels = callers.map((at) =>
        label(x(at.perSecond) + 4, y(at.ms) + 12, `${at.callers}`),
      );
      const end = own.at(-1)!;
      const name = label(x(end.perSecond) - 20, y(end.ms) - 8, `${server} ${measure}`);
      const line = `<polyline points="${path}" fill="none" stroke="${COLORS[server]}"${dash}/>`;
      return [line, name, ...labels].join('');
    }),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-size="11" font-family="sans-serif">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    label(MARGIN, 24, 'Latency over images/s; the numbers are callers'),
    ...grid,
    ...curves,
    '</svg>\n',
  ].join('\n');
}

function gridLine([x1, y1, x2, y2]: [number, number, number, number], text: string): string {
  const line = `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="#ddd"/>`;
  const isVertical = x1 === x2;
  return line + label(isVertical ? x1 - 10 : 8, isVertical ? y1 + 18 : y1 + 4, text);
}

function label(x: number, y: number, text: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}">${text}</text>`;
}
