import type { RequestHandler } from 'express';
import { createOpenApiDocument, type DocumentFacts } from '../openapi/create-document.js';

/** Both forms are made once: what they say cannot change while the gateway runs. */
export function readOpenApiDocument(facts: Omit<DocumentFacts, 'body'>): RequestHandler {
  const multipart = createOpenApiDocument({ ...facts, body: 'multipart' });
  const json = createOpenApiDocument({ ...facts, body: 'json' });
  return (req, res) => {
    res.json(req.query['body'] === 'json' ? json : multipart);
  };
}
