import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageKeysRule, oneSlotRule, redisConfig } from '@livegate/core/store-url';
import {
  type ConfigRule,
  fraction,
  integer,
  milliseconds,
  parsedBy,
  readConfig,
  sharedConfig,
} from '@livegate/core/runtime';
import { scrapePortRule, telemetryRule } from '@livegate/core/telemetry-rules';
import { z } from 'zod';
import { parseAuditKey } from './jobs/audit/audit-chain.js';
import { cutPointLevels } from './models/calibration.js';
import { CATALOGUE_FILE } from './models/catalogue.js';
import { executionProviders } from './models/execution-providers.js';
import type { Rollout, RolloutSettings } from './models/rollout.js';
import type { SchedulerConfig } from './scheduling/schedule-images.js';

/**
 * Time limit of the shutdown: long enough for the images in work, photos of 12 MP on a slow core.
 */
export const SHUTDOWN_GRACE_MS = 20_000;

/** The worker's part of the environment; `.env.example` explains every key. */
export const workerConfigSchema = z.object({
  ...sharedConfig,
  ...redisConfig,
  LIVEGATE_WORKER_HEALTH_PORT: integer().max(65_535).optional(),
  LIVEGATE_REQUIRE_ENCRYPTED_IMAGES: z.stringbool().default(false),
  LIVEGATE_MODELS_DIR: z.string().default('.data/models'),
  LIVEGATE_PROFILE: z.string().optional(),
  LIVEGATE_CANARY_PROFILE: z.string().optional(),
  LIVEGATE_CANARY_SHARE: fraction().default(0.05),
  LIVEGATE_SHADOW_PROFILE: z.string().optional(),
  LIVEGATE_SHADOW_SHARE: fraction().default(0.1),
  LIVEGATE_EXECUTION_PROVIDER: z.enum(executionProviders).default('cpu'),
  LIVEGATE_DEVICES: integer(1).default(1),
  LIVEGATE_ENGINES: orAuto(integer(1)),
  LIVEGATE_INTRA_OP_THREADS: orAuto(integer(1)),
  LIVEGATE_MAX_BATCH: orAuto(integer(1)),
  LIVEGATE_MEASURE_LAYOUT: z.stringbool().default(false),
  LIVEGATE_LINGER_MS: orAuto(milliseconds()),
  LIVEGATE_CONCURRENCY: orAuto(integer(1)),
  LIVEGATE_FACE_SCORE_THRESHOLD: fraction().default(0.9),
  LIVEGATE_MIN_FACE_RATIO: fraction().default(0.25),
  LIVEGATE_CALIBRATION_FILE: z.string().optional(),
  LIVEGATE_CUT_POINTS: z.enum(cutPointLevels).default('regular'),
  LIVEGATE_MODERATE_FROM: fraction().optional(),
  LIVEGATE_HIGH_FROM: fraction().optional(),
  LIVEGATE_AUDIT: z.enum(['off', 'file', 'stream']).default('off'),
  LIVEGATE_AUDIT_DIR: z.string().default('.data/audit'),
  LIVEGATE_AUDIT_STREAM_MAX_LINES: integer(1000).default(100_000),
  LIVEGATE_AUDIT_KEY_FILE: z.string().optional(),
  LIVEGATE_AUDIT_REQUIRED: z.stringbool().default(true),
});

export type WorkerConfig = z.output<typeof workerConfigSchema>;

export function readWorkerConfig(env: NodeJS.ProcessEnv): WorkerConfig {
  return readConfig(workerConfigSchema, env, [
    ...workerConfigRules,
    preparedModels,
    auditKey,
    imageKeysRule,
  ]);
}

const keys = workerConfigSchema.shape;

const cutPointsInOrder = z
  .object({
    LIVEGATE_MODERATE_FROM: keys.LIVEGATE_MODERATE_FROM,
    LIVEGATE_HIGH_FROM: keys.LIVEGATE_HIGH_FROM,
  })
  .refine(({ LIVEGATE_MODERATE_FROM: from = 0, LIVEGATE_HIGH_FROM: high = 1 }) => from <= high, {
    path: ['LIVEGATE_MODERATE_FROM'],
    message: 'must not be above LIVEGATE_HIGH_FROM',
  });

const imageKeysGiven = z
  .object({
    LIVEGATE_REQUIRE_ENCRYPTED_IMAGES: keys.LIVEGATE_REQUIRE_ENCRYPTED_IMAGES,
    LIVEGATE_IMAGE_KEYS_FILE: keys.LIVEGATE_IMAGE_KEYS_FILE,
  })
  .refine(
    (config) => !config.LIVEGATE_REQUIRE_ENCRYPTED_IMAGES || config.LIVEGATE_IMAGE_KEYS_FILE,
    {
      path: ['LIVEGATE_REQUIRE_ENCRYPTED_IMAGES'],
      message: 'needs the keys of LIVEGATE_IMAGE_KEYS_FILE',
    },
  );

/** Rules that need no access to this machine. */
export const workerConfigRules: ConfigRule[] = [
  cutPointsInOrder,
  imageKeysGiven,
  oneSlotRule,
  telemetryRule,
  scrapePortRule('LIVEGATE_WORKER_HEALTH_PORT', keys.LIVEGATE_WORKER_HEALTH_PORT),
];

const preparedModels = z.object({
  LIVEGATE_MODELS_DIR: keys.LIVEGATE_MODELS_DIR.superRefine((folder, context) => {
    try {
      accessSync(join(folder, CATALOGUE_FILE), constants.R_OK);
    } catch (error) {
      const message = `${(error as Error).message}: run "npm run models" to fetch it`;
      context.addIssue({ code: 'custom', message });
    }
  }),
});

const auditKey = z.object({
  LIVEGATE_AUDIT_KEY_FILE: parsedBy((file) => parseAuditKey(readFileSync(file))).optional(),
});

/** On a GPU, a batch of two takes little longer than one image; on a CPU, nearly twice as long. */
const LINGER_MS = { cpu: 0, accelerator: 3 };

/** The model sets that the environment names. */
export function toRolloutSettings(config: WorkerConfig): RolloutSettings {
  const toTrial = (profile: string | undefined, share: number) =>
    profile === undefined ? undefined : { profile, share };
  return {
    profile: config.LIVEGATE_PROFILE,
    canary: toTrial(config.LIVEGATE_CANARY_PROFILE, config.LIVEGATE_CANARY_SHARE),
    shadow: toTrial(config.LIVEGATE_SHADOW_PROFILE, config.LIVEGATE_SHADOW_SHARE),
  };
}

/** `rollout` is what to start with. */
export function toSchedulerConfig(config: WorkerConfig, rollout: Rollout): SchedulerConfig {
  const onCpu = config.LIVEGATE_EXECUTION_PROVIDER === 'cpu';
  return {
    modelsDir: config.LIVEGATE_MODELS_DIR,
    rollout,
    tuning: {
      calibrationFile: config.LIVEGATE_CALIBRATION_FILE,
      cutPoints: {
        level: config.LIVEGATE_CUT_POINTS,
        moderate: config.LIVEGATE_MODERATE_FROM,
        high: config.LIVEGATE_HIGH_FROM,
      },
    },
    maxImagePixels: config.LIVEGATE_MAX_IMAGE_PIXELS,
    faceScoreThreshold: config.LIVEGATE_FACE_SCORE_THRESHOLD,
    minFaceRatio: config.LIVEGATE_MIN_FACE_RATIO,
    executionProvider: config.LIVEGATE_EXECUTION_PROVIDER,
    devices: config.LIVEGATE_DEVICES,
    layout: {
      engines: given(config.LIVEGATE_ENGINES),
      intraOpThreads: given(config.LIVEGATE_INTRA_OP_THREADS),
      maxBatch: given(config.LIVEGATE_MAX_BATCH),
      measure: config.LIVEGATE_MEASURE_LAYOUT,
    },
    lingerMs: given(config.LIVEGATE_LINGER_MS) ?? (onCpu ? LINGER_MS.cpu : LINGER_MS.accelerator),
    // Not on a CPU: it has other work between runs, and a batch that waits in one engine cannot
    // move.
    runAhead: !onCpu,
    concurrency: given(config.LIVEGATE_CONCURRENCY),
  };
}

/** A setting that may be `auto`: the worker chooses it. */
function orAuto<Schema extends z.ZodType>(schema: Schema) {
  return z
    .union([z.literal('auto'), schema], { error: 'expected "auto" or a whole number' })
    .default('auto');
}

function given(value: number | 'auto'): number | undefined {
  return value === 'auto' ? undefined : value;
}
