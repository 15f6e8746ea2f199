import {
  describeModels,
  LivegateError,
  type ModelSetFacts,
  type WorkerFacts,
} from '@livegate/core/domain';
import type { RequestHandler } from 'express';
import type { z } from 'zod';
import type { modelSetsSchema } from '../contract/answer-schemas.js';
import type { Admission } from './admission.js';

/** Says only that the process answers: an outage of Redis must not make Kubernetes restart it. */
export const livez: RequestHandler = (_req, res) => {
  res.json({ status: 'ok' });
};

/** 200 while checks are admitted, otherwise 503 with the reason. */
export function readyz(admission: Admission, isClosing: () => boolean): RequestHandler {
  return (_req, res) => {
    const problem = isClosing() ? 'this gateway is stopping' : admission.findProblem();
    if (problem) res.status(503).json({ status: 'unavailable', problem });
    else res.json({ status: 'ok', workers: admission.view()?.workers.length });
  };
}

/**
 * Lists the models of the live workers, and the thresholds of LOW, MODERATE and HIGH. One entry per
 * distinct set that answers checks: there are several only while models change, or with a canary.
 */
export function listModels(admission: Admission): RequestHandler {
  return (_req, res) => {
    const workers = admission.view()?.workers ?? [];
    if (workers.length === 0) throw new LivegateError('unavailable');
    const sets = workers.flatMap(presentSets).map((set) => [JSON.stringify(set), set] as const);
    const answer: ModelSets = { model_sets: [...new Map(sets).values()] };
    res.json(answer);
  };
}

type ModelSets = z.output<typeof modelSetsSchema>;

function presentSets({ executionProvider, canary, ...current }: WorkerFacts) {
  return [current, ...(canary ? [canary] : [])].map(
    ({
      profile,
      models,
      cutPoints,
      calibration,
    }: ModelSetFacts): ModelSets['model_sets'][number] => ({
      livegate_model: describeModels(models),
      ...(profile !== undefined && { profile }),
      thresholds: { moderate: cutPoints.moderate, high: cutPoints.high },
      ...(calibration && { calibration }),
      execution_provider: executionProvider,
      models,
    }),
  );
}
