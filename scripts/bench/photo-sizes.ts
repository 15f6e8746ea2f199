import { formatTable } from '../format-table.js';
import { countViews } from './bare.js';
import type { Bench, Part } from './bench.js';
import { formatNumber } from './figure.js';
import { percentile, repeatWork } from './rounds.js';

/** How the rate depends on the picture. */
export const measurePhotoSizes: Part = async (bench, say) => {
  const { selfie: portrait, closeUp: near, sizes } = bench.photos;
  const photos = [{ name: 'selfie', jpeg: portrait }, { name: 'close-up', jpeg: near }, ...sizes];
  const rows = [];
  for (const photo of photos) rows.push({ ...photo, ...(await measure(bench, photo.jpeg)) });
  const lines = rows.map(({ name, jpeg, views, perSecond, p50Ms }) => [
    name,
    ...[jpeg.length / 1024, views, perSecond, p50Ms].map(formatNumber),
  ]);
  say(formatTable(['in process, saturated', 'KiB', 'views', 'images/s', 'p50 ms'], lines));
  return [];
};

async function measure({ pipeline, modelsDir, seconds }: Bench, jpeg: Buffer) {
  const { concurrency } = pipeline;
  const rate = await repeatWork(() => pipeline.assess(jpeg), { concurrency, seconds });
  const views = await countViews(modelsDir, jpeg);
  return { views, perSecond: rate.perSecond, p50Ms: percentile(rate.latenciesMs, 0.5) };
}
