import type { FaceView } from './image/place-face.js';
import type { CutPoints } from './verdict.js';

/** A model that a worker has loaded, as `GET /v1/models` shows it. */
export interface ModelFacts {
  name: string;
  version: string;
  /** Hex SHA-256 of the loaded file. */
  sha256: string;
  task: 'detect' | 'classify';
  /** Of a classifier, each once. Workers of earlier versions register none. */
  views?: FaceView[];
}

/** Models that judge images together, and the cut points for their scores. */
export interface ModelSetFacts {
  /** Its name in the model catalogue. Workers of earlier versions register none. */
  profile?: string;
  models: ModelFacts[];
  cutPoints: CutPoints;
  /** Absent when the score is not a calibrated probability. */
  calibration?: CalibrationFacts;
}

/** How the calibration was fitted, and to what. */
export interface CalibrationFacts {
  /** The first 8 hex digits of the SHA-256 of its constants. */
  id: string;
  method: 'platt' | 'isotonic';
  /** In the form of the tool that fitted it. */
  data: Record<string, unknown>;
  figures: Record<string, unknown>;
}

/** What a worker's registration says about it: its current model set, and more. */
export interface WorkerFacts extends ModelSetFacts {
  id: string;
  /** Versions of the jobs that it reads. */
  jobVersions: readonly number[];
  /** The ONNX Runtime execution provider in use. */
  executionProvider: string;
  /** How much work of checks, by `workOf`, it does in a second. Earlier versions register none. */
  workPerSecond?: number;
  /** The model set that answers a share of the checks; absent without a canary. */
  canary?: ModelSetFacts;
}

/** The models behind an answer: `name/version+hash`, comma-separated. */
export function describeModels(models: ModelFacts[]): string {
  return models.map((m) => `${m.name}/${m.version}+${m.sha256.slice(0, 8)}`).join(', ');
}
