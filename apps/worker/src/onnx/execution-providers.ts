/** Those of ONNX Runtime that Livegate knows how to set up. */
export const executionProviders = ['cpu', 'cuda', 'tensorrt', 'coreml', 'dml'] as const;

export type ExecutionProvider = (typeof executionProviders)[number];
