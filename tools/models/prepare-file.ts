import { openSession, type ModelOutputs } from '@livegate/worker/models/open-session';
import type { ModelInput } from '@livegate/worker/models/catalogue';
import sharp from 'sharp';
import { cutPhoto, SELFIE } from '../dev/sample-photo.js';
import { freeBatchOf, rewriteModel } from './rewrite-model.js';

export interface PreparedFile {
  bytes: Uint8Array;
  /** Whether its graph was rewritten to run faster; if not, only its batch size was made variable. */
  isRewritten: boolean;
  /** Largest difference from the published outputs, as a share of the largest value. */
  deviation: number;
  /** Median milliseconds of one image on one thread. */
  ms: { published: number; prepared: number };
}

/** Rounding alone stays below: it is 1e-6 for the shipped models. */
const MAX_DEVIATION = 1e-4;

/**
 * Rewrites a model, and proves on real images that a batch gets the outputs that the published model
 * gives each image alone. A rewriting that fails the proof is dropped. Throws an Error if the model
 * cannot run several images at once.
 */
export async function prepareFile(
  published: Uint8Array,
  { name, input }: { name: string; input: ModelInput },
): Promise<PreparedFile> {
  const images = await sampleImages(input);
  const reference = await runEach(await open(freeBatchOf(published), { name, input }), images);
  let problem = 'its outputs differ';
  for (const isRewritten of [true, false]) {
    try {
      const bytes = isRewritten ? rewriteModel(published) : freeBatchOf(published);
      const found = await runBatch(await open(bytes, { name, input }), images);
      const deviation = largestDeviation(found.outputs, reference.outputs);
      const ms = { published: reference.ms, prepared: found.ms };
      if (deviation <= MAX_DEVIATION) return { bytes, isRewritten, deviation, ms };
      problem = `its outputs differ by ${deviation.toExponential(1)} of the largest`;
    } catch (error) {
      problem = (error as Error).message;
    }
  }
  throw new Error(`model ${name} cannot run several images at once: ${problem}`);
}

/** Cuts of one selfie in the model's layout, float32 [3, height, width] each. */
async function sampleImages({ width, height, channels, subtract, multiply }: ModelInput) {
  const photo = await cutPhoto(SELFIE).toBuffer();
  const cuts = [0, 60, 120, 180].map((edge) => ({
    left: edge,
    top: edge,
    width: SELFIE.width - 2 * edge,
    height: SELFIE.height - 2 * edge,
  }));
  const order = channels === 'RGB' ? [0, 1, 2] : [2, 1, 0];
  return await Promise.all(
    cuts.map(async (cut) => {
      const resized = sharp(photo).extract(cut).resize(width, height, { fit: 'fill' });
      const pixels = await resized.removeAlpha().raw().toBuffer();
      return Float32Array.from({ length: pixels.length }, (_, i) => {
        const [plane, at] = [Math.floor(i / (width * height)), i % (width * height)];
        return (pixels[3 * at + order[plane]!]! - subtract[plane]!) * multiply[plane]!;
      });
    }),
  );
}

type Session = Awaited<ReturnType<typeof open>>;

interface Ran {
  /** By output name: the values of all images, in order. */
  outputs: Map<string, number[]>;
  ms: number;
}

function open(bytes: Uint8Array, model: { name: string; input: ModelInput }) {
  const cpu = { executionProvider: 'cpu', deviceId: 0, intraOpThreads: 1 } as const;
  return openSession({ ...model, bytes }, cpu);
}

async function runEach(session: Session, images: Float32Array[]): Promise<Ran> {
  try {
    const outputs = new Map<string, number[]>();
    for (const image of images) collect(await session.run(image), outputs);
    return { outputs, ms: await timeRun(session, images[0]!) };
  } finally {
    await session.close();
  }
}

async function runBatch(session: Session, images: Float32Array[]): Promise<Ran> {
  try {
    const outputs = new Map<string, number[]>();
    const batch = Float32Array.from(images.flatMap((image) => [...image]));
    collect(await session.run(batch), outputs);
    return { outputs, ms: await timeRun(session, images[0]!) };
  } finally {
    await session.close();
  }
}

function collect(ran: ModelOutputs, into: Map<string, number[]>): void {
  for (const [name, { values }] of Object.entries(ran)) {
    into.set(name, [...(into.get(name) ?? []), ...values]);
  }
}

async function timeRun(session: Session, image: Float32Array): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 15; i++) {
    const started = performance.now();
    await session.run(image);
    times.push(performance.now() - started);
  }
  return times.toSorted((a, b) => a - b)[7]!;
}

/** Infinity when an output is missing or has another length, or contains NaN. */
function largestDeviation(found: Ran['outputs'], expected: Ran['outputs']): number {
  const deviations = [...expected].map(([name, values]) => {
    const others = found.get(name);
    if (others?.length !== values.length) return Infinity;
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
    const most = values.reduce((sum, value, i) => Math.max(sum, Math.abs(value - others[i]!)), 0);
    return Number.isNaN(most) ? Infinity : most / largest;
  });
  return Math.max(...deviations);
}
