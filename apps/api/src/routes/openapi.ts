import type { RequestHandler } from 'express';
import { basePathOf } from '../base-url.js';
import { createOpenApiDocument, type DocumentFacts } from '../openapi/create-document.js';

/** Made once: while the gateway runs, only the path at which a proxy has it can change. */
export function readOpenApiDocument(facts: DocumentFacts): RequestHandler {
  const document = createOpenApiDocument(facts);
  return (req, res) => {
    const url = facts.publicUrl ?? (basePathOf(req, undefined) || '/');
    res.json({ ...document, servers: [{ url }] });
  };
}
