import * as ort from 'onnxruntime-node';
import type { ModelInput } from './catalogue.js';
import type { ExecutionProvider } from './execution-providers.js';

/** One loaded model. The interface has plain arrays, so that no other file imports ONNX Runtime. */
export interface ModelSession {
  /**
   * `batch` is float32 [n, 3, height, width]. Returns the outputs of its first `count` images; the
   * others are padding. The outputs are not checked: see `readOutput`.
   */
  run(batch: Float32Array, count?: number): Promise<ModelOutputs>;
  close(): Promise<void>;
}

/** Outputs by name. */
export type ModelOutputs = Record<string, OutputTensor>;

export interface OutputTensor {
  values: Float32Array;
  shape: readonly number[];
}

export interface SessionOptions {
  executionProvider: ExecutionProvider;
  /** Index of the accelerator, from 0; 0 on the CPU. */
  deviceId: number;
  intraOpThreads: number;
}

export interface SessionModel {
  name: string;
  bytes: Uint8Array;
  input: ModelInput;
}

export type OpenSession = (model: SessionModel, options: SessionOptions) => Promise<ModelSession>;

/** Throws an Error if the execution provider is not available or the model has another input. */
export const openSession: OpenSession = async (model, options) => {
  const session = await createSession(model, options);
  requireInput(session, model);
  const { name, width, height } = model.input;
  return {
    run: async (batch, count) => {
      const n = batch.length / (3 * width * height);
      const tensor = new ort.Tensor('float32', batch, [n, 3, height, width]);
      const outputs = toOutputs(await session.run({ [name]: tensor }));
      return count === undefined || count === n ? outputs : dropPadding(outputs, { n, count });
    },
    close: () => session.release(),
  };
};

async function createSession(
  model: SessionModel,
  options: SessionOptions,
): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(model.bytes, {
      // Exactly one: from a longer list, ONNX Runtime drops a missing provider with only a warning.
      executionProviders: [{ name: options.executionProvider, deviceId: options.deviceId }],
      intraOpNumThreads: options.intraOpThreads,
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const provider = `execution provider "${options.executionProvider}"`;
    throw new Error(`cannot open model ${model.name} with ${provider}: ${reason}`, { cause });
  }
}

function requireInput(session: ort.InferenceSession, { name, input }: SessionModel): void {
  const found = session.inputMetadata.find((metadata) => metadata.name === input.name);
  const shape = found?.isTensor && found.type === 'float32' ? found.shape : [];
  const expected = [3, input.height, input.width];
  // A symbolic size is a string. The batch size must be symbolic, the other sizes may be.
  const fits = expected.every(
    (size, i) => typeof shape[i + 1] === 'string' || shape[i + 1] === size,
  );
  const isOnly = session.inputNames.length === 1;
  if (isOnly && shape.length === 4 && typeof shape[0] === 'string' && fits) return;
  throw new Error(
    `model ${name} does not take one input "${input.name}" of float32 [any batch, ` +
      `${expected.join(', ')}], its inputs are: ${session.inputMetadata.map(describe).join(', ')}`,
  );
}

function describe(metadata: ort.InferenceSession.ValueMetadata): string {
  if (!metadata.isTensor) return `"${metadata.name}"`;
  return `"${metadata.name}" of ${metadata.type} [${metadata.shape.join(', ')}]`;
}

function toOutputs(outputs: ort.InferenceSession.OnnxValueMapType): ModelOutputs {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, tensor]) => {
      if (tensor.type !== 'float32') {
        throw new Error(`output "${name}" is ${tensor.type}, expected float32`);
      }
      return [name, { values: tensor.data as Float32Array, shape: tensor.dims }];
    }),
  );
}

/** An output without a value for each of the `n` images stays as it is, to be refused. */
function dropPadding(outputs: ModelOutputs, { n, count }: { n: number; count: number }) {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, output]) => {
      const [images, ...rest] = output.shape;
      if (images !== n) return [name, output];
      const values = output.values.subarray(0, (count * output.values.length) / n);
      return [name, { values, shape: [count, ...rest] }];
    }),
  );
}

// Disables ONNX Runtime's telemetry, which reports sessions, CPU and system to its vendor and
// writes files to the home and temporary directories. The library reads this variable once, when it
// is loaded: import this file first, and on the main thread.
process.env['ORT_DISABLE_TELEMETRY'] = '1';

// Disables TF32 in cuBLAS and cuDNN, which rounds float32 to 10 bits and is on by default: it moves
// P(spoof) by up to 0.013 against the CPU, without it by 0.00001 (H100, 85 faces, 2026-11-26). The
// libraries read it when the first session opens, and onnxruntime-node has no option for it.
process.env['NVIDIA_TF32_OVERRIDE'] = '0';
