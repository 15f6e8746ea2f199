import {
  type CheckStatus,
  type ErrorCode,
  errorMessages,
  type QualityCode,
  qualityCodes,
} from '@livegate/core/domain';
import { z } from 'zod';

// The single source of what the routes answer: types are inferred from these schemas, and the OpenAPI
// document is generated from them. `satisfies` keeps a schema equal to its domain type.

/** RFC 3339, in UTC. */
export const timeSchema = z.iso.datetime();

const shareSchema = z.number().describe('A share of the picture; beyond 0..1 outside of it.');

export const qualitySchema = z
  .object({
    codes: z
      .array(z.enum(qualityCodes as [QualityCode, ...QualityCode[]]))
      .describe(
        'What makes the verdict weak, the most useful hint first; empty for a good picture.',
      ),
    face: z
      .object({ left: shareSchema, top: shareSchema, width: shareSchema, height: shareSchema })
      .describe('The face box in the judged picture, as shares of its width and height.'),
    content: z
      .object({
        x: z.number().describe('The center, as a share of the width of the image.'),
        y: z.number(),
        width: z.number().describe('As a share of the width of the image.'),
        height: z.number(),
        tilt: z.number().min(-45).max(45).describe('By how many degrees clockwise it is turned.'),
      })
      .optional()
      .describe(
        'Where the judged picture lies in the image, before `measures.rotation` turned it; absent ' +
          'unless the image shows it on a surround of one color.',
      ),
    measures: z.object({
      inside: z
        .number()
        .min(0)
        .max(1)
        .describe('The share of the square of 2.7 faces that is inside the picture.'),
      margin: z
        .number()
        .describe('The least distance of the face box from an edge of the picture, in faces.'),
      face_pixels: z.int().min(1).describe('The longer side of the face box, in decoded pixels.'),
      offset: z
        .number()
        .min(0)
        .describe("The distance of the face from the picture's center, as a share of its sides."),
      lightest: z.number().min(0).max(255).describe('95 % of the face is darker than this luma.'),
      white: z.number().min(0).max(1).describe('The share of the face that is overexposed.'),
      blur: z.number().min(0).describe('The standard deviation of the blur, in faces.'),
      turn: z
        .number()
        .min(-2)
        .max(2)
        .describe('How much more symmetrical the face is about a turned axis than an upright one.'),
      rotation: z
        .union([z.literal(0), z.literal(90), z.literal(180), z.literal(270)])
        .describe('By how many degrees clockwise the picture was turned before it was judged.'),
    }),
  })
  .describe('About the picture of the face. A face is the longer side of its box.');

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
            'The higher, the more likely a spoof. It is a calibrated probability only when a ' +
              'calibration is active: `GET /v1/models` says which images it was fitted to. The ' +
              'shipped calibrations were fitted to a few hundred development images of few people.',
          ),
        status: z.enum(['LOW', 'MODERATE', 'HIGH']),
        quality: qualitySchema
          .optional()
          .describe('For a caller that asked with `Livegate-Quality: report`.'),
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
  .describe('The verdict on one image. HIGH is still a "success": a face was scored.');

export const errorCodeSchema = z.enum(Object.keys(errorMessages) as ErrorCode[]);

/** GLAIR's sentence in the `error` of a 401 and a 403; the test of its Java SDK compares it. */
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
  .describe('The body of every error.');

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
  .describe('Only a path if the request had no valid Host.');

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
  .describe(
    'One check. A job whose image has no face, or several, has succeeded; one whose weak image its ' +
      'caller refuses by `Livegate-Quality: enforce` has failed.',
  );

export const deletionSchema = z.object({ id: z.string(), deleted: z.literal(true) });

export const modelSetsSchema = z.object({
  model_sets: z
    .array(
      z.object({
        livegate_model: z.string().describe('As in the `Livegate-Model` header.'),
        profile: z.string().optional().describe('Its name in the model catalogue.'),
        thresholds: z
          .object({ moderate: z.number().min(0).max(1), high: z.number().min(0).max(1) })
          .describe('The `spoof_percentage` from which an image is MODERATE, and HIGH.'),
        calibration: z
          .object({
            id: z.string().describe('A short hash of its constants.'),
            method: z.enum(['platt', 'isotonic']),
            data: z.record(z.string(), z.unknown()),
            figures: z.record(z.string(), z.unknown()),
          })
          .optional()
          .describe(
            'The calibration of `spoof_percentage`: the images it was fitted to, and how well it ' +
              'holds on others. Absent: `spoof_percentage` is not a calibrated probability.',
          ),
        execution_provider: z.string(),
        models: z.array(
          z.object({
            name: z.string(),
            version: z.string(),
            sha256: z.string().regex(/^[0-9a-f]{64}$/),
            task: z.enum(['detect', 'classify']),
            views: z
              .array(z.object({ scale: z.number(), fill: z.enum(['zero', 'reflect']) }))
              .optional()
              .describe(
                'Of a classifier: the squares that it sees around the face, as multiples of the ' +
                  'longer side of the face box, and what fills them beyond the picture.',
              ),
          }),
        ),
      }),
    )
    .min(1)
    .describe('One per distinct set: there are two only during a rolling upgrade.'),
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
