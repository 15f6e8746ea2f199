import { describeModels, LivegateError, type WorkerFacts } from '@livegate/core/domain';
import type { RequestHandler } from 'express';
import type { z } from 'zod';
import type { modelSetsSchema } from '../contract/answer-schemas.js';
import type { Admission } from './admission.js';

/** The process answers: nothing more, so that no outage of Redis makes Kubernetes restart it. */
export const livez: RequestHandler = (_req, res) => {
  res.json({ status: 'ok' });
};

/** Checks can be taken: every Redis is reachable and safe, and a live worker reads our checks. */
export function readyz(admission: Admission, isClosing: () => boolean): RequestHandler {
  return (_req, res) => {
    const problem = isClosing() ? 'this gateway is stopping' : admission.findProblem();
    if (problem) res.status(503).json({ status: 'unavailable', problem });
    else res.json({ status: 'ok', workers: admission.view()?.workers.length });
  };
}

/**
 * The models that answer now, and the thresholds behind LOW, MODERATE and HIGH. One entry per
 * distinct set: there are two only while an upgrade is rolled out.
 */
export function listModels(admission: Admission): RequestHandler {
  return (_req, res) => {
    const workers = admission.view()?.workers ?? [];
    if (workers.length === 0) throw new LivegateError('unavailable');
    const sets = new Map(workers.map((worker) => [JSON.stringify(present(worker)), worker]));
    const answer: ModelSets = { model_sets: [...sets.values()].map(present) };
    res.json(answer);
  };
}

type ModelSets = z.output<typeof modelSetsSchema>;

function present(worker: WorkerFacts): ModelSets['model_sets'][number] {
  const { models, cutPoints, executionProvider } = worker;
  return {
    livegate_model: describeModels(models),
    thresholds: { moderate: cutPoints.moderate, high: cutPoints.high },
    execution_provider: executionProvider,
    models,
  };
}
