import type { CutPoints } from './verdict.js';

/** One model a worker has loaded, as `GET /v1/models` shows it. */
export interface ModelFacts {
  name: string;
  version: string;
  /** Hex SHA-256 of the file that runs. */
  sha256: string;
  task: 'detect' | 'classify';
}

/** What a live worker tells the gateways about itself. */
export interface WorkerFacts {
  id: string;
  /** Of the checks that it reads. */
  jobVersions: readonly number[];
  models: ModelFacts[];
  /** The ONNX Runtime execution provider in use. */
  executionProvider: string;
  cutPoints: CutPoints;
}

/** `name/version+hash`, comma-separated: identifies the models behind an answer. */
export function describeModels(models: ModelFacts[]): string {
  return models.map((m) => `${m.name}/${m.version}+${m.sha256.slice(0, 8)}`).join(', ');
}
