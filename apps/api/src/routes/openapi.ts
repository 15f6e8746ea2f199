import type { RequestHandler } from 'express';
import { createOpenApiDocument, type DocumentFacts } from '../openapi/create-document.js';

/** Made once: what it says cannot change while the gateway runs. */
export function readOpenApiDocument(facts: DocumentFacts): RequestHandler {
  const document = createOpenApiDocument(facts);
  return (_req, res) => {
    res.json(document);
  };
}
