import { LivegateError } from '@livegate/core/domain';
import express, { type Request, type RequestHandler, type Response } from 'express';
import {
  emptyFormSchema,
  type SessionCreation,
  sessionCreationSchema,
} from '../contract/sessions.js';
import { parseBody, readJsonBody } from '../http/read-json-body.js';

/** Node's own parser of small forms. */
const FormBody = globalThis.Response;

const MAX_FORM_BYTES = 16 * 1024;
const readForm = express.raw({ limit: MAX_FORM_BYTES, type: 'multipart/form-data' });

/**
 * Parses the body of a creation: JSON, or a form. Throws `invalid_json`, `invalid_multipart`,
 * `invalid_request` or `unsupported_media_type`.
 */
export const readCreationBody: RequestHandler = async (req, res, next) => {
  if (req.is('multipart/form-data')) {
    req.body = await readFields(req, res);
    next();
  } else await readJsonBody(req, res, next);
};

/**
 * The validated creation, with its defaults. Throws `invalid_request` with every problem. Postman sends
 * an empty form without a body and a content type.
 */
export function parseCreation(req: Request): SessionCreation {
  const isEmptyForm = !req.is('json') && Object.keys((req.body as object) ?? {}).length === 0;
  return parseBody(req, isEmptyForm ? emptyFormSchema : sessionCreationSchema);
}

async function readFields(req: Request, res: Response): Promise<Record<string, unknown>> {
  const headers = { 'content-type': req.get('content-type') ?? '' };
  try {
    await new Promise<void>((resolve, reject) => {
      readForm(req, res, (error?: unknown) => (error ? reject(error) : resolve()));
    });
    const bytes = req.body as Buffer;
    if (bytes.length === 0) return {};
    const form = await new FormBody(Uint8Array.from(bytes), { headers }).formData();
    return Object.fromEntries([...form].filter(([name]) => name !== '').map(readField));
  } catch (cause) {
    throw invalidForm(cause);
  }
}

/** In a form, numbers and booleans are text. */
function readField([name, value]: [string, unknown]): [string, unknown] {
  if (name === 'tell_user' && /^(true|false)$/.test(String(value))) return [name, value === 'true'];
  const isNumber = ['max_tries', 'ttl_seconds'].includes(name) && /^\d{1,9}$/.test(String(value));
  return [name, isNumber ? Number(value) : value];
}

function invalidForm(cause: unknown): LivegateError {
  const isTooLong = cause instanceof Error && 'type' in cause && cause.type === 'entity.too.large';
  const publicMessage = `the request body has more than ${MAX_FORM_BYTES} bytes`;
  if (isTooLong) return new LivegateError('invalid_request', { publicMessage, cause });
  return new LivegateError('invalid_multipart', { cause });
}
