import type { ModelInput } from '../../../../apps/worker/src/models/catalogue.js';
import { openSession } from '../../../../apps/worker/src/models/open-session.js';

interface Run {
  width: number;
  height: number;
  /** float32 [n, 3, height, width]. */
  batch: Float32Array;
}

/** Runs a model on `input` with the worker's ONNX session, on one thread; returns outputs by name. */
export async function runModel(
  bytes: Uint8Array,
  { width, height, batch }: Run,
): Promise<Record<string, Float32Array>> {
  const input: ModelInput = {
    name: 'input',
    width,
    height,
    channels: 'RGB',
    subtract: [0, 0, 0],
    multiply: [1, 1, 1],
  };
  const session = await openSession(
    { name: 'under test', bytes, input },
    { executionProvider: 'cpu', deviceId: 0, intraOpThreads: 1 },
  );
  try {
    const outputs = Object.entries(await session.run(batch));
    return Object.fromEntries(outputs.map(([name, { values }]) => [name, values]));
  } finally {
    await session.close();
  }
}

/** The largest difference between two outputs, as a share of the largest expected value. */
export function largestDeviation(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) throw new Error(`${found.length}, not ${expected.length}`);
  return largest(found.map((value, i) => value - expected[i]!)) / largest(expected);
}

function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
