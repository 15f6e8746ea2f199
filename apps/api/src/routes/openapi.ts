import type { RequestHandler } from 'express';
import { basePathOf } from '../base-url.js';
import { createOpenApiDocument, type DocumentFacts } from '../openapi/create-document.js';

/** Both forms are made once: while the gateway runs, only the path at which a proxy has it can change. */
export function readOpenApiDocument(facts: Omit<DocumentFacts, 'body'>): RequestHandler {
  const multipart = createOpenApiDocument({ ...facts, body: 'multipart' });
  const json = createOpenApiDocument({ ...facts, body: 'json' });
  return (req, res) => {
    const url = facts.publicUrl ?? (basePathOf(req, undefined) || '/');
    const document = req.query['body'] === 'json' ? json : multipart;
    res.json({ ...document, servers: [{ url }] });
  };
}
