// Apart from open-session.ts, because that loads ONNX Runtime, which nobody needs to read settings.

/** The execution providers of ONNX Runtime that Livegate supports. */
export const executionProviders = ['cpu', 'cuda', 'tensorrt', 'coreml', 'dml'] as const;

export type ExecutionProvider = (typeof executionProviders)[number];
