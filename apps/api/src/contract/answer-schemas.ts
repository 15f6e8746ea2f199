import {
  type CheckStatus,
  type ErrorCode,
  errorMessages,
  type Verdict,
} from '@livegate/core/domain';
import { z } from 'zod';

// The one source of what the routes answer: their types are inferred from these schemas, and so is
// the document. `satisfies` ties those that the domain also knows to the domain's own types.

/** RFC 3339, in UTC. */
export const timeSchema = z.iso.datetime();

export const verdictSchema = z
  .discriminatedUnion('status', [
    z.object({
      status: z.literal('success'),
      result: z.object({
        spoof_percentage: z
          .number()
          .min(0)
          .max(1)
          .describe(
            'The higher, the more likely a spoof: the mean of what the models say of several crops of ' +
              'the face. It is not calibrated: of images scored 0.3, not 3 in 10 need be spoofs.',
          ),
        status: z.enum(['LOW', 'MODERATE', 'HIGH']),
      }),
    }),
    z.object({
      status: z.literal('failed'),
      result: z.object({
        spoof_percentage: z.literal(1),
        status: z.enum(['face not detected', 'too many faces detected']),
      }),
    }),
  ])
  .describe(
    'What was seen in one image. HIGH is still a "success": a face was scored.',
  ) satisfies z.ZodType<Verdict>;

export const errorCodeSchema = z.enum(Object.keys(errorMessages) as ErrorCode[]);

/** GLAIR's own sentence in the `error` of a 401 and a 403; its Java SDK compares it. */
export const ACCESS_DISALLOWED = 'Access to this API has been disallowed';

export const errorSchema = z
  .object({
    status: z.literal('failed'),
    error_message: z.string().describe('For people.'),
    error_code: errorCodeSchema,
    request_id: z.uuid().describe('The `Request-Id` of this answer.'),
    http_status: z.int().min(400).max(599),
    error: z
      .literal(ACCESS_DISALLOWED)
      .optional()
      .describe('In 401 and 403 only, for clients of the GLAIR API that read it.'),
  })
  .describe('What every error looks like.');

const checkStatusSchema = z.enum([
  'queued',
  'processing',
  'succeeded',
  'failed',
  'canceled',
]) satisfies z.ZodType<CheckStatus>;

const linkSchema = z
  .string()
  .meta({ format: 'uri-reference' })
  .describe('A path where the request gave no host to make a URL of.');

export const jobSchema = z
  .object({
    id: z.uuid(),
    status: checkStatusSchema,
    created_at: timeSchema,
    started_at: timeSchema.nullable(),
    finished_at: timeSchema.nullable(),
    result: verdictSchema.optional().describe('Of a succeeded job.'),
    error: errorSchema
      .pick({ error_code: true, error_message: true })
      .optional()
      .describe('Of a failed or canceled job.'),
    links: z.object({ self: linkSchema, cancel: linkSchema.optional() }),
  })
  .describe('One check. An image without a face, or with several, is a job that succeeded.');

export const deletionSchema = z.object({ id: z.string(), deleted: z.literal(true) });

export const modelSetsSchema = z.object({
  model_sets: z
    .array(
      z.object({
        livegate_model: z.string().describe('As the `Livegate-Model` header says it.'),
        thresholds: z
          .object({ moderate: z.number().min(0).max(1), high: z.number().min(0).max(1) })
          .describe('The `spoof_percentage` from which an image is MODERATE, and HIGH.'),
        execution_provider: z.string(),
        models: z.array(
          z.object({
            name: z.string(),
            version: z.string(),
            sha256: z.string().regex(/^[0-9a-f]{64}$/),
            task: z.enum(['detect', 'classify']),
          }),
        ),
      }),
    )
    .min(1)
    .describe('One per distinct set: there are two only while an upgrade is rolled out.'),
});

export const aliveSchema = z.object({ status: z.literal('ok') });

export const readySchema = z.object({
  status: z.literal('ok'),
  workers: z.int().min(1).optional().describe('How many are alive.'),
});

export const notReadySchema = z.object({ status: z.literal('unavailable'), problem: z.string() });

export const documentSchema = z
  .looseObject({
    openapi: z.string().regex(/^3\.1\.\d+$/),
    info: z.looseObject({ title: z.string(), version: z.string() }),
    paths: z.record(z.string(), z.unknown()),
  })
  .describe('This document.');
