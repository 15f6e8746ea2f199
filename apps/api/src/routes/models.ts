import { describeModels, LivegateError, type WorkerFacts } from '@livegate/core';
import type { RequestHandler } from 'express';
import type { z } from 'zod';
import type { Fleet } from '../fleet.js';
import type { modelSetsSchema } from '../openapi/answer-schemas.js';

/**
 * The models that answer now, and the thresholds behind LOW, MODERATE and HIGH. One entry per
 * distinct set: there are two only while an upgrade is rolled out.
 */
export function listModels(fleet: Fleet): RequestHandler {
  return (_req, res) => {
    const workers = fleet.view()?.workers ?? [];
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
