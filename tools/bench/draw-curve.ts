import { writeFile } from 'node:fs/promises';
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

export interface CurvePoint {
  server: string;
  measure: 'p50' | 'p99';
  callers: number;
  perSecond: number;
  ms: number;
}

/** An SVG of latency over throughput: a line per server and measure, a point per number of callers. */
export async function drawCurve(points: CurvePoint[], path: string): Promise<void> {
  const spec: TopLevelSpec = {
    width: 620,
    height: 380,
    background: 'white',
    data: { values: points },
    encoding: {
      x: { field: 'perSecond', type: 'quantitative', title: 'images/s', scale: { zero: true } },
      y: { field: 'ms', type: 'quantitative', title: 'latency, ms', scale: { type: 'log' } },
      color: { field: 'server', type: 'nominal', title: null },
      order: { field: 'callers' },
    },
    layer: [
      {
        mark: { type: 'line', point: true },
        encoding: { strokeDash: { field: 'measure', type: 'nominal', title: null } },
      },
      {
        transform: [{ filter: "datum.measure === 'p50'" }],
        mark: { type: 'text', dy: 12, fontSize: 9 },
        encoding: { text: { field: 'callers' } },
      },
    ],
  };
  const view = new View(parse(compile(spec).spec), { renderer: 'none' });
  await writeFile(path, await view.toSVG());
  view.finalize();
}
