import { describeModels, LivegateError, type WorkerFacts } from '@livegate/core';
import type { RequestHandler } from 'express';
import type { Fleet } from '../fleet.js';

/**
 * The models that answer now, and the thresholds behind LOW, MODERATE and HIGH. One entry per
 * distinct set: there are two only while an upgrade is rolled out.
 */
export function listModels(fleet: Fleet): RequestHandler {
  return (_req, res) => {
    const workers = fleet.view()?.workers ?? [];
    if (workers.length === 0) throw new LivegateError('unavailable');
    const sets = new Map(workers.map((worker) => [JSON.stringify(present(worker)), worker]));
    res.json({ model_sets: [...sets.values()].map(present) });
  };
}

function present({ models, cutPoints, executionProvider }: WorkerFacts) {
  return {
    livegate_model: describeModels(models),
    thresholds: { moderate: cutPoints.moderate, high: cutPoints.high },
    execution_provider: executionProvider,
    models,
  };
}
