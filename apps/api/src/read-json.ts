import { LivegateError } from '@livegate/core';
import express from 'express';
import { decodeBase64 } from './decode-base64.js';
import { parseJsonBody } from './parse-json-body.js';
import { runParser } from './run-parser.js';
import type { ReadUpload } from './upload.js';

/** Reads `{"image": "<base64>", "webhook_url": "…"}`, where only the image must be. */
export function createReadJson(maxBytes: number): ReadUpload {
  // As text, since express.json() would parse whatever comes, for as long as it takes.
  const parse = express.text({ limit: maxBytes, type: () => true });

  return async (req, res) => {
    await runParser(parse, { req, res, otherwise: 'invalid_json' });
    const text = String(req.body);
    req.body = undefined;
    const { image, webhook_url: webhookUrl } = readMembers(text);
    if (image === undefined || image === null) throw new LivegateError('missing_image');
    if (webhookUrl === undefined) return { image: decodeBase64(image) };
    if (typeof webhookUrl !== 'string') {
      throw new LivegateError('invalid_request', { publicMessage: 'webhook_url must be a string' });
    }
    return { image: decodeBase64(image), webhookUrl };
  };
}

function readMembers(text: string): { image?: unknown; webhook_url?: unknown } {
  if (text === '') return {};
  const body = parseJsonBody(text);
  if (typeof body !== 'object' || body === null) throw new LivegateError('invalid_json');
  return body;
}
