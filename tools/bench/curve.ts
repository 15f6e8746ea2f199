import { formatTable } from '../format-table.js';
import type { Bench, Part } from './bench.js';
import { formatNumber } from './figure.js';
import { startNaiveServer } from './naive.js';
import { drawCurve, type CurvePoint } from './draw-curve.js';
import { startProduct } from './product.js';
import { percentile } from './rounds.js';
import { sendLoad } from './send-load.js';

const CALLERS = [1, 2, 4, 8, 16, 32, 64];

/** Latency against throughput, for ever more callers; drawn where `bench.curvePath` says. */
export const measureCurve: Part = async (bench, say) => {
  const product = await startProduct(bench);
  const naive = await startNaiveServer(bench);
  const points: CurvePoint[] = [];
  try {
    for (const callers of CALLERS) {
      points.push(
        ...(await measure(bench, { server: 'Livegate', url: product.urls[0]!, callers })),
      );
      points.push(...(await measure(bench, { server: 'naive', url: naive.url, callers })));
    }
  } finally {
    await Promise.all([product.stop(), naive.stop()]);
  }
  const lines = points.map((point) => [
    `${point.server} ${point.measure}`,
    ...[point.callers, point.perSecond, point.ms].map(formatNumber),
  ]);
  say(formatTable(['', 'callers', 'images/s', 'ms'], lines));
  await drawCurve(points, bench.curvePath);
  return [];
};

async function measure(
  { photos, seconds }: Bench,
  { server, url, callers }: { server: string; url: string; callers: number },
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
