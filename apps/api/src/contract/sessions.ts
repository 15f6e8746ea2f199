import {
  type CaptureFacts,
  issueToken,
  MAX_PHOTOS,
  type Session,
  sessionSignals,
  type SessionStatus,
  triesLeft,
} from '@livegate/core/domain';
import { z } from 'zod';
import { verdictSchema } from './answer-schemas.js';
import { hintText } from './session-hints.js';

const MAX_URL_LENGTH = 2048;
const DAY_SECONDS = 24 * 60 * 60;

/**
 * A URL that a person's browser may be sent to, kept as the caller wrote it. The characters that are
 * refused are those that URL parsers drop, or read as a slash.
 */
const redirectUrlSchema = z
  .string()
  .max(MAX_URL_LENGTH)
  // oxlint-disable-next-line eslint/no-control-regex -- a header or a page must not contain them
  .regex(/^https?:\/\/[^\u0000-\u0020\u007f\\]+$/i, 'it must begin with https:// or http://')
  .refine((text) => URL.canParse(text), 'it is not a URL')
  .refine((text) => !hasCredentials(text), 'it must not contain credentials')
  .meta({ format: 'uri' });

function hasCredentials(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { username, password } = new URL(text);
  return username !== '' || password !== '';
}

/** Members that are not listed are ignored, as GLAIR does. */
export const sessionCreationSchema = z.object({
  success_url: redirectUrlSchema.describe(
    'Where the person goes when the session is finished, with `sid` added to the query.',
  ),
  cancel_url: redirectUrlSchema
    .nullish()
    .describe('Where the back button leads; without it, there is none.'),
  max_tries: z.int().min(1).max(10).default(3).describe('How many photos may get a verdict.'),
  ttl_seconds: z.int().min(60).max(DAY_SECONDS).default(DAY_SECONDS),
  reference: z
    .string()
    .max(256)
    // oxlint-disable-next-line eslint/no-control-regex -- it is echoed, and control characters hide text
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'it must not contain control characters')
    .nullish()
    .describe('Your own id. It comes back unchanged, and nothing is found by it.'),
  tell_user: z
    .boolean()
    .default(false)
    .describe('Whether the page may show the class of the verdict to the person.'),
  locale: z
    .string()
    .max(35)
    .regex(/^[a-z]{2,8}(-[a-z\d]{1,8})*$/i, 'expected a language tag, such as en or id-ID')
    .nullish()
    .describe('The language of the page; by default, the one that the browser asks for.'),
});

/** An empty form, as GLAIR's Postman collection sends it: the session ends on its page. */
export const emptyFormSchema = sessionCreationSchema.omit({ success_url: true });

export type SessionCreation =
  z.output<typeof sessionCreationSchema> | z.output<typeof emptyFormSchema>;

const sidSchema = z.string().regex(/^[A-Za-z0-9]{32}$/);

/** Milliseconds since the epoch. */
const epochMsSchema = z.int().min(0);

const statusSchema = z.enum(['PENDING', 'FINISHED']) satisfies z.ZodType<SessionStatus>;

const [scoredSchema] = verdictSchema.options;

/** The answer to a creation. */
export const createdSessionSchema = z.object({
  status: statusSchema,
  sid: sidSchema,
  url: z
    .string()
    .meta({ format: 'uri-reference' })
    .describe('The page for the person. Anyone who has it can use the session.'),
  success_url: z.string().nullable(),
  cancel_url: z.string().nullable(),
  expired: epochMsSchema.describe('When the session expires.'),
  max_tries: z.int().min(1),
  tries_left: z.int().min(0),
  reference: z.string().nullable(),
  tell_user: z.boolean(),
  locale: z.string().nullable(),
});

export const sessionSchema = createdSessionSchema
  .extend({
    result: z
      .object({
        status: z.literal('success'),
        result: scoredSchema.shape.result.extend({
          spoof_status: scoredSchema.shape.result.shape.status.describe('The same as `status`.'),
        }),
      })
      .nullable()
      .describe('The lowest score of the tries; null until the session is finished.'),
    signals: z
      .array(z.enum(sessionSignals))
      .describe('Hints that a photo did not come from the camera of the page. Never a proof.'),
  })
  .describe('One person on the hosted page.');

export const sessionDeletionSchema = z.object({ sid: sidSchema, deleted: z.literal(true) });

/** What the page knows. Never a score; the class of the verdict only with `tell_user`. */
export const pageStateSchema = z.object({
  status: statusSchema,
  checking: z.boolean().describe('Whether a photo is being checked: read the state again.'),
  tries_left: z.int().min(0),
  photos_left: z
    .int()
    .min(0)
    .describe('How many photos may still be sent, also those without a try.'),
  expired: epochMsSchema,
  hint: z
    .object({ code: z.string(), message: z.string() })
    .nullable()
    .describe('What to do better in the next photo.'),
  token: z
    .string()
    .nullable()
    .describe('For the next photo, once; null while no photo can be sent.'),
  success_redirect: z
    .string()
    .nullable()
    .describe('Where to go now: `success_url` with the sid, once the session is finished.'),
  can_cancel: z.boolean().describe('Whether there is a `cancel_url`.'),
  verdict: scoredSchema.shape.result.shape.status
    .nullable()
    .describe('Of a finished session with `tell_user`.'),
  locale: z.string().nullable(),
});

export const cancellationSchema = z.object({
  cancel_redirect: z.string().describe('The `cancel_url`: go there.'),
});

export function presentCreatedSession(session: Session): z.output<typeof createdSessionSchema> {
  const { status, sid, url, successUrl, cancelUrl, expiresAt } = session;
  return {
    status,
    sid,
    url,
    success_url: successUrl ?? null,
    cancel_url: cancelUrl ?? null,
    expired: expiresAt,
    max_tries: session.maxTries,
    tries_left: triesLeft(session),
    reference: session.reference ?? null,
    tell_user: session.tellUser,
    locale: session.locale ?? null,
  };
}

/** A session as its tenant sees it. */
export function presentSession(session: Session): z.output<typeof sessionSchema> {
  const { signals } = session;
  return { ...presentCreatedSession(session), result: presentResult(session), signals };
}

function presentResult({ status, best }: Session): z.output<typeof sessionSchema>['result'] {
  if (status !== 'FINISHED' || !best) return null;
  const { spoofProbability, status: spoofStatus } = best;
  return {
    status: 'success',
    result: {
      spoof_percentage: spoofProbability,
      status: spoofStatus,
      spoof_status: spoofStatus,
    },
  };
}

export function presentPageState(session: Session, now: number): z.output<typeof pageStateSchema> {
  const { status, hint, successUrl, running } = session;
  const isFinished = status === 'FINISHED';
  const photosLeft = isFinished ? 0 : MAX_PHOTOS - session.photos;
  const canSend = !running && photosLeft > 0 && session.expiresAt > now;
  return {
    status,
    checking: running !== undefined,
    tries_left: triesLeft(session),
    photos_left: photosLeft,
    expired: session.expiresAt,
    hint: hint === undefined ? null : { code: hint, message: hintText(hint) },
    token: canSend ? issueToken(session) : null,
    success_redirect: isFinished && successUrl ? withSid(successUrl, session.sid) : null,
    can_cancel: session.cancelUrl !== undefined && !isFinished,
    verdict: (isFinished && session.tellUser && session.best?.status) || null,
    locale: session.locale ?? null,
  };
}

/** Adds the sid to the query. Does not rewrite the query that is there, as `searchParams` would. */
export function withSid(successUrl: string, sid: string): string {
  const url = new URL(successUrl);
  url.search = url.search === '' ? `sid=${sid}` : `${url.search}&sid=${sid}`;
  return url.href;
}

const numberField = z
  .string()
  .regex(/^-?\d{1,9}(\.\d{1,6})?$/)
  .transform(Number)
  .optional()
  .catch(undefined);

/** Text fields beside a photo. What is malformed counts as absent, and is a signal. */
const captureSchema = z.object({
  source: z.enum(['camera', 'file']).optional().catch(undefined),
  frame_age_ms: numberField,
  frames: numberField,
  frame_jitter_ms: numberField,
  camera: z.enum(['physical', 'virtual', 'unknown']).optional().catch(undefined),
});

/** The names of the fields that the page sends beside a photo. */
export const photoFields = ['token', ...Object.keys(captureSchema.shape)];

export function readCaptureFacts(fields: Record<string, string>): CaptureFacts {
  const { source, frame_age_ms, frames, frame_jitter_ms, camera } = captureSchema.parse(fields);
  return { source, frameAgeMs: frame_age_ms, frames, frameJitterMs: frame_jitter_ms, camera };
}
