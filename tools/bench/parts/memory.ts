import { formatTable } from '../../format-table.js';
import { type Part, formatNumber, type Figure } from '../bench.js';
import { makeGreySquare } from '../photos.js';
import { readUsage, startProduct } from '../product.js';
import { sendBurst, sendLoad } from '../load.js';

const IMAGES = 20_000;
const SECONDS_PER_SAMPLE = 20;
const MIB = 2 ** 20;
const UPLOADS = { count: 200, bytes: 5 * MIB, budgetMiB: 256 };

/** Measures whether memory grows over 20,000 images. The first fifth of the samples is warm-up. */
export const measureMemory: Part = async (bench, say) => {
  const product = await startProduct(bench);
  const samples: { images: number; api: number; worker: number }[] = [];
  try {
    const image = bench.photos.closeUp;
    const load = { image, connections: 16, seconds: SECONDS_PER_SAMPLE, mayRefuse: true };
    for (let sent = 0; sent < IMAGES;) {
      sent += (await sendLoad(product.urls[0]!, load)).latenciesMs.length;
      const api = await readUsage(product.gateways[0]!);
      const worker = await readUsage(product.worker);
      samples.push({ images: sent, api: api.rssMiB, worker: worker.rssMiB });
    }
    const lines = samples.map((at) => [at.images, at.api, at.worker].map(formatNumber));
    say(formatTable(['images', 'api MiB', 'worker MiB'], lines));
    return (['api', 'worker'] as const).map((app) =>
      growth(
        app,
        samples.slice(Math.ceil(samples.length / 5)).map((at) => at[app]),
      ),
    );
  } finally {
    await product.stop();
  }
};

/** The mean of the last three samples relative to that of the first three after the warm-up. */
function growth(app: string, rssMiB: number[]): Figure {
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  const value = mean(rssMiB.slice(-3)) / mean(rssMiB.slice(0, 3));
  return { name: `${app}'s memory, end / after warm-up`, value, unit: 'x', aim: { atMost: 1.1 } };
}

/** Measures the memory for a burst of large uploads relative to the configured budget. */
export const measureUploads: Part = async (bench, say) => {
  const budget = { LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT: `${UPLOADS.budgetMiB * MIB}` };
  const product = await startProduct(bench, { env: budget });
  try {
    const image = await makeGreySquare(UPLOADS.bytes);
    const [url, gateway] = [product.urls[0]!, product.gateways[0]!];
    await sendBurst(url, image, 1);
    const idle = await readUsage(gateway);
    const { count } = UPLOADS;
    const statuses = await sendBurst(url, image, count);
    const { peakRssMiB } = await readUsage(gateway);
    const answers = [...statuses].map(([status, times]) => `${times} x ${status}`);
    say(`  ${count} uploads of 5 MiB at once: ${answers.join(', ')}`);
    const name = `${count} x 5 MiB at once: memory taken / upload budget`;
    const value = (peakRssMiB - idle.rssMiB) / UPLOADS.budgetMiB;
    return [{ name, value, unit: 'x', aim: { atMost: 2 } }];
  } finally {
    await product.stop();
  }
};
