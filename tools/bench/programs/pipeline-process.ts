// A pipeline in its own process, without HTTP and Redis. Sends a message when it is open, and answers each
// message with the throughput under a saturating load.
import { readWorkerConfig } from '@livegate/worker/config';
import { openPipeline } from '../../open-pipeline.js';
import { repeatWork } from '../rounds.js';

interface Measurement {
  image: string;
  seconds: number;
}

export interface Measured {
  perSecond: number;
  images: number;
}

const pipeline = await openPipeline(readWorkerConfig(process.env));
const { concurrency } = pipeline;
process.on('message', (message: Measurement | 'usage') => {
  if (message !== 'usage') void measure(message);
});
process.once('disconnect', () => process.exit(0));
process.send!('open');

async function measure({ image, seconds }: Measurement): Promise<void> {
  const bytes = Buffer.from(image, 'base64');
  const load = { concurrency, seconds };
  const { perSecond, latenciesMs } = await repeatWork(() => pipeline.assess(bytes), load);
  process.send!({ perSecond, images: latenciesMs.length } satisfies Measured);
}
