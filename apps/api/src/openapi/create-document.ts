import { createRequire } from 'node:module';
import { createComponentSchemas } from './component-schemas.js';
import type { OpenApiDocument } from './document-types.js';
import { createAnyError, tabulateErrors } from './error-responses.js';
import { sharedHeaders } from './headers.js';
import { checkPaths, type CheckFacts } from './operations/check-operations.js';
import { jobPaths } from './operations/job-operations.js';
import { publicPaths } from './operations/public-operations.js';
import { webhookPaths } from './operations/webhook-operations.js';
import { webhookMessages } from './webhook-messages.js';

export interface DocumentFacts extends CheckFacts {
  /** Where callers reach this service; else the document's own host. */
  publicUrl: string | undefined;
  /** The names of the files behind `/docs`. */
  pageAssets: string[];
}

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

/**
 * The OpenAPI document of this gateway, with the limits that are in force. Schemas of answers and of
 * management requests are made from the zod schemas that the code itself uses.
 */
export function createOpenApiDocument(facts: DocumentFacts): OpenApiDocument {
  return {
    openapi: '3.1.1',
    info: {
      title: 'Livegate',
      version,
      summary: 'Passive liveness: one selfie in, one spoof verdict out.',
      description,
    },
    servers: [{ url: facts.publicUrl?.replace(/\/+$/, '') || '/' }],
    tags,
    paths: {
      ...checkPaths(facts),
      ...jobPaths(),
      ...webhookPaths(),
      ...publicPaths(facts.pageAssets),
    },
    webhooks: webhookMessages(),
    components: {
      schemas: createComponentSchemas(),
      headers: sharedHeaders,
      responses: { AnyError: createAnyError() },
      securitySchemes,
    },
  };
}

const tags = [
  { name: 'Checks', description: 'An image and its verdict.' },
  { name: 'Jobs', description: 'Checks that nobody waits for.' },
  { name: 'Webhooks', description: 'Being called when a check ends, after Standard Webhooks.' },
  { name: 'Service', description: 'About this gateway; needs no credentials.' },
];

const securitySchemes = {
  basic: { type: 'http', scheme: 'basic', description: 'Together with `x-api-key`.' },
  apiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'x-api-key',
    description: 'Together with HTTP Basic; both of one credential.',
  },
};

const description = `
Send it one selfie, and it answers how likely the face is a spoof. Self-hosted, and a drop-in replacement
for the GLAIR Vision passive-liveness API.

A path supports HEAD wherever it supports GET. Every error has the same shape; \`error_code\` and, unless a
refusal tells more, \`error_message\` are always the same:

${tabulateErrors()}
`.trim();
