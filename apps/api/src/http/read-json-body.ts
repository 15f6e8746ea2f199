import { LivegateError } from '@livegate/core/domain';
import express, { type Request, type RequestHandler } from 'express';
import type { z } from 'zod';

const MAX_BODY_BYTES = 16 * 1024;
const parse = express.json({ limit: MAX_BODY_BYTES });

/**
 * Parses the small, optional JSON body of a management request. Throws `invalid_json`,
 * `invalid_request` or `unsupported_media_type`.
 */
export const readJsonBody: RequestHandler = (req, res, next) => {
  const isEmpty = req.get('content-length') === '0';
  if (!isEmpty && req.is('json') === false) throw unsupportedMediaType();
  parse(req, res, (error?: unknown) => next(error && translateBodyError(error)));
};

/** Validates the body. Throws `invalid_request` with every problem. */
export function parseBody<Schema extends z.ZodType>(
  req: Request,
  schema: Schema,
): z.output<Schema> {
  const parsed = schema.safeParse(req.body ?? {});
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => [...path, message].join(': '));
  throw new LivegateError('invalid_request', { publicMessage: problems.join('; ') });
}

function translateBodyError(error: unknown): LivegateError {
  const type = error instanceof Error && 'type' in error ? String(error.type) : '';
  if (type.endsWith('unsupported')) return unsupportedMediaType();
  if (type !== 'entity.too.large') return new LivegateError('invalid_json', { cause: error });
  const publicMessage = `the request body has more than ${MAX_BODY_BYTES} bytes`;
  return new LivegateError('invalid_request', { publicMessage, cause: error });
}

function unsupportedMediaType(): LivegateError {
  return new LivegateError('unsupported_media_type', { publicMessage: 'send application/json' });
}
