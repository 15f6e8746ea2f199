import { fraction, integer, readConfig, sharedConfig } from '@livegate/core';
import { z } from 'zod';
import type { PipelineConfig } from './pipeline.js';

/** The worker's part of the environment; `.env.example` explains every key. */
export const workerConfigSchema = z
  .object({
    ...sharedConfig,
    LIVEGATE_MODELS_DIR: z.string().default('.data/models'),
    LIVEGATE_EXECUTION_PROVIDER: z.string().default('cpu'),
    LIVEGATE_INTRA_OP_THREADS: integer(1).default(1),
    LIVEGATE_MAX_BATCH: integer(1).default(8),
    LIVEGATE_MAX_IMAGE_PIXELS: integer(1).default(50_000_000),
    LIVEGATE_FACE_SCORE_THRESHOLD: fraction().default(0.9),
    LIVEGATE_MIN_FACE_RATIO: fraction().default(0.25),
    LIVEGATE_MODERATE_FROM: fraction().default(0.4),
    LIVEGATE_HIGH_FROM: fraction().default(0.7),
  })
  .refine((config) => config.LIVEGATE_MODERATE_FROM <= config.LIVEGATE_HIGH_FROM, {
    path: ['LIVEGATE_MODERATE_FROM'],
    message: 'must not be above LIVEGATE_HIGH_FROM',
  });

export type WorkerConfig = z.output<typeof workerConfigSchema>;

export function readWorkerConfig(env: NodeJS.ProcessEnv): WorkerConfig {
  return readConfig(workerConfigSchema, env);
}

export function toPipelineConfig(config: WorkerConfig): PipelineConfig {
  return {
    modelsDir: config.LIVEGATE_MODELS_DIR,
    maxImagePixels: config.LIVEGATE_MAX_IMAGE_PIXELS,
    faceScoreThreshold: config.LIVEGATE_FACE_SCORE_THRESHOLD,
    minFaceRatio: config.LIVEGATE_MIN_FACE_RATIO,
    executionProvider: config.LIVEGATE_EXECUTION_PROVIDER,
    intraOpThreads: config.LIVEGATE_INTRA_OP_THREADS,
  };
}
