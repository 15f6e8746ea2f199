import onnxProto, { type onnx } from 'onnx-proto';

const { ModelProto, TensorProto } = onnxProto.onnx;

/** What an ONNX file says about itself. */
export interface InspectedModel {
  input: { name: string; width: number; height: number };
  outputs: string[];
  /** Of the operator set. */
  opset: number;
}

export interface InspectOptions {
  /** Width and height, for a file that leaves them variable. */
  size?: number | undefined;
}

/** Throws an Error that lists every reason why the file is not a classifier that a worker can run. */
export function inspectModel(bytes: Uint8Array, { size }: InspectOptions = {}): InspectedModel {
  const model = decode(bytes);
  const { opsetImport } = model;
  const graph = model.graph!;
  const weights = new Set(graph.initializer?.map(({ name }) => name));
  const inputs = (graph.input ?? []).filter(({ name }) => !weights.has(name));
  const problems = [...findDataProblems(graph), ...findInputProblems(inputs, size)];
  const outputs = (graph.output ?? []).filter(mayBeClasses);
  if (outputs.length === 0) {
    const found = (graph.output ?? []).map(describe).join(', ');
    problems.push(`it needs an output of float32 [batch, classes], its outputs are: ${found}`);
  }
  if (problems.length > 0) {
    throw new Error(`the model does not fit:\n${problems.map((each) => `- ${each}`).join('\n')}`);
  }
  const [, , height, width] = dimensionsOf(inputs[0]!);
  return {
    input: {
      name: inputs[0]!.name ?? '',
      width: width ?? size!,
      height: height ?? size!,
    },
    outputs: outputs.map(({ name }) => name ?? ''),
    opset: Number(opsetImport?.find(({ domain }) => !domain)?.version ?? 0),
  };
}

function decode(bytes: Uint8Array): onnx.IModelProto {
  try {
    const model = ModelProto.decode(bytes);
    if (model.graph?.node?.length) return model;
  } catch {
    // Reported below: protobuf's message says nothing to a reader.
  }
  throw new Error('the file is not an ONNX model');
}

function findDataProblems({ initializer }: onnx.IGraphProto): string[] {
  const external = initializer?.some(
    ({ dataLocation }) => dataLocation === TensorProto.DataLocation.EXTERNAL,
  );
  return external
    ? [
        'its weights are in another file: save them into the .onnx file (save_as_external_data=False)',
      ]
    : [];
}

function findInputProblems(inputs: onnx.IValueInfoProto[], size?: number): string[] {
  const [input] = inputs;
  if (!input || inputs.length > 1) {
    const names = inputs.map(describe).join(', ') || 'none';
    return [`it needs exactly one input, an image, its inputs are: ${names}`];
  }
  if (typeOf(input) !== TensorProto.DataType.FLOAT) {
    return [`its input must be float32: ${describe(input)}`];
  }
  const [, channels, height, width, ...more] = dimensionsOf(input);
  const isFourfold = input.type?.tensorType?.shape?.dim?.length === 4 && more.length === 0;
  if (isFourfold && width === 3 && channels !== 3) {
    return [`its input has the channels last, export it as [batch, 3, height, width]`];
  }
  if (!isFourfold || channels !== 3) {
    return [`its input must be [batch, 3, height, width], it is ${describe(input)}`];
  }
  if (size === undefined && (width === undefined || height === undefined)) {
    return ['its input has a variable height or width: name the size with --size'];
  }
  return [];
}

/** Sizes; undefined for a variable one. */
function dimensionsOf({ type }: onnx.IValueInfoProto): (number | undefined)[] {
  const sizes = type?.tensorType?.shape?.dim ?? [];
  return sizes.map(({ dimValue }) => (Number(dimValue ?? 0) > 0 ? Number(dimValue) : undefined));
}

function typeOf({ type }: onnx.IValueInfoProto): number | null | undefined {
  return type?.tensorType?.elemType;
}

/** Some files leave out the shape of their outputs, which a run then shows. */
function mayBeClasses(output: onnx.IValueInfoProto): boolean {
  const { length } = dimensionsOf(output);
  return typeOf(output) === TensorProto.DataType.FLOAT && (length === 2 || length === 0);
}

function describe(value: onnx.IValueInfoProto): string {
  const sizes = dimensionsOf(value).map((size) => size ?? 'any');
  const type = TensorProto.DataType[typeOf(value) ?? 0]?.toLowerCase() ?? 'unknown';
  return `"${value.name}" ${type} [${sizes.join(', ')}]`;
}
