import { LivegateError, type ImageLimits } from '@livegate/core';
import express from 'express';
import { decodeBase64 } from './decode-base64.js';
import { parseJsonBody } from './parse-json-body.js';
import { runParser } from './run-parser.js';
import type { ReadUpload } from './upload.js';
import { bodyTooLarge, maxBodyBytes } from './upload-memory.js';

/** Reads `{"image": "<base64>", "webhook_url": "…"}`, where only the image must be. */
export function createReadJson(limits: ImageLimits): ReadUpload {
  const limit = maxBodyBytes('json', limits.maxImageBytes);
  // As text, since express.json() would parse whatever comes, for as long as it takes.
  const parse = express.text({ limit, type: () => true });

  return async (req, res) => {
    await runParser(parse, { req, res, tooLarge: bodyTooLarge('json', limits) });
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
