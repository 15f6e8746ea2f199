import * as ort from 'onnxruntime-node';
import type { ModelInput } from './model-manifest.js';

/** One loaded model. Plain arrays cross this line, so that no other file knows ONNX Runtime. */
export interface ModelSession {
  /** `batch` is float32 [n, 3, height, width]. What comes out is not checked: see `readOutput`. */
  run(batch: Float32Array): Promise<ModelOutputs>;
  close(): Promise<void>;
}

/** By name. */
export type ModelOutputs = Record<string, OutputTensor>;

export interface OutputTensor {
  values: Float32Array;
  shape: readonly number[];
}

export interface SessionOptions {
  executionProvider: ExecutionProvider;
  /** Which accelerator, from 0; the CPU has but one. */
  deviceId: number;
  intraOpThreads: number;
}

export interface SessionModel {
  name: string;
  bytes: Uint8Array;
  input: ModelInput;
}

export type OpenSession = (model: SessionModel, options: SessionOptions) => Promise<ModelSession>;

/** Throws an Error when the provider is not there or the model does not take this input. */
export const openSession: OpenSession = async (model, options) => {
  const session = await createSession(model, options);
  requireInput(session, model);
  const { name, width, height } = model.input;
  return {
    run: async (batch) => {
      const shape = [batch.length / (3 * width * height), 3, height, width];
      return toOutputs(await session.run({ [name]: new ort.Tensor('float32', batch, shape) }));
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
      // Never a list of two: ONNX Runtime drops a missing one with a warning and goes on.
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
  // A symbolic size is a string: the batch must be one, the others may be.
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

/** Those of ONNX Runtime that Livegate knows how to set up. */
export const executionProviders = ['cpu', 'cuda', 'tensorrt', 'coreml', 'dml'] as const;

export type ExecutionProvider = (typeof executionProviders)[number];

// ONNX Runtime would report sessions, processor and system to its maker, and leave files in the home
// and temporary directories. It looks at this variable of the process once, when its library is loaded:
// import this first, and on the main thread.
process.env['ORT_DISABLE_TELEMETRY'] = '1';
