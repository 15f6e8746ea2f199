// A pipeline in a process of its own, without HTTP and Redis: says when it is open, and answers each
// message with the images per second of a saturating load.
import { readWorkerConfig } from '@livegate/worker/config';
import { openPipeline } from '../../open-pipeline.js';
import { repeatWork } from '../rounds.js';

interface Order {
  image: string;
  seconds: number;
}

const pipeline = await openPipeline(readWorkerConfig(process.env));
const { concurrency } = pipeline;
process.on('message', (message: Order | 'usage') => {
  if (message !== 'usage') void measure(message);
});
process.once('disconnect', () => process.exit(0));
process.send!('open');

async function measure({ image, seconds }: Order): Promise<void> {
  const bytes = Buffer.from(image, 'base64');
  const { perSecond } = await repeatWork(() => pipeline.assess(bytes), { concurrency, seconds });
  process.send!(perSecond);
}
