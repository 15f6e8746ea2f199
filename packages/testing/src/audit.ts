import type { AuditedCheck } from '../../../apps/worker/src/jobs/audit/audited-check.js';
import { exampleQuality } from './examples.js';

const { facePixels, ...measures } = exampleQuality.measures;

/** The record of a check that scored LOW. */
export function exampleAuditedCheck(change: Partial<AuditedCheck> = {}): AuditedCheck {
  return {
    kind: 'check',
    salt: '00112233445566778899aabbccddeeff',
    time: '2026-11-26T12:00:00.000Z',
    id: '019a0000-0000-7000-8000-000000000001',
    tenant: 'acme',
    image: { sha256: 'ab'.repeat(32), bytes: 3 },
    outcome: {
      kind: 'scored',
      status: 'LOW',
      spoof_percentage: 0.02611,
      spoof_probability: 0.026114,
      logit: -3.618,
      views: [{ model: 'fr-liveness/0.0.1', view: '2.0 reflect', logit: -3.618 }],
      rotation: 0,
      quality: { codes: exampleQuality.codes, measures: { ...measures, face_pixels: facePixels } },
    },
    version: '0.1.0',
    models: [{ name: 'fr-liveness', version: '0.0.1', sha256: 'cd'.repeat(32), task: 'classify' }],
    cut_points: { moderate: 0.4, high: 0.7 },
    settings: {
      execution_provider: 'cpu',
      face_score_threshold: 0.9,
      min_face_ratio: 0.25,
      max_image_pixels: 52_000_000,
    },
    timings: { decode_ms: 6.5, detect_ms: 3.8, classify_ms: 22, worker_ms: 33 },
    ...change,
  };
}
