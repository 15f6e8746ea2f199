import { createRequire } from 'node:module';
import { createComponentSchemas } from './component-schemas.js';
import type { OpenApiDocument, Schema } from './document-types.js';
import { type CheckFacts, checkPaths } from './operations/check-operations.js';
import { jobPaths } from './operations/job-operations.js';
import { publicPaths } from './operations/public-operations.js';
import { pagePaths } from './operations/page-operations.js';
import { sessionPaths } from './operations/session-operations.js';
import { webhookPaths } from './operations/webhook-operations.js';
import { createAnyError, sharedHeaders, tabulateErrors } from './shared-parts.js';
import { webhookMessages } from './webhook-messages.js';

export interface DocumentFacts extends CheckFacts {
  /** The URL of this service, if configured; else the document's own host. */
  publicUrl: string | undefined;
  /** The names of the files behind `/docs`. */
  pageAssets: string[];
}

const { version } = createRequire(import.meta.url)('@livegate/api/package.json') as {
  version: string;
};

/**
 * The OpenAPI document of this gateway, with its configured limits. The schemas of answers and of
 * management requests are generated from the zod schemas that the handlers use.
 */
export function createOpenApiDocument(facts: DocumentFacts): OpenApiDocument {
  return {
    openapi: '3.1.1',
    info: {
      title: 'Livegate',
      version,
      summary: 'Passive liveness: one selfie in, one spoof verdict out.',
      description,
      contact: { name: 'The operator of this gateway' },
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: facts.publicUrl?.replace(/\/+$/, '') || '/' }],
    tags,
    paths: {
      ...checkPaths(facts),
      ...jobPaths(),
      ...sessionPaths(),
      ...pagePaths(facts),
      ...webhookPaths(),
      ...publicPaths(facts.pageAssets),
    },
    webhooks: webhookMessages(),
    components: {
      schemas: describeErrorCodes(createComponentSchemas()),
      headers: sharedHeaders,
      responses: { AnyError: createAnyError() },
      securitySchemes,
    },
  };
}

/** Added here, since the schemas of answers do not know HTTP statuses. */
function describeErrorCodes({ ErrorCode, ...schemas }: Record<string, Schema>) {
  const codes = `For programs; stable. Each code has one status and, unless an error is more specific, one message:

${tabulateErrors()}`;
  return { ...schemas, ErrorCode: { ...ErrorCode, description: codes } };
}

const tags = [
  { name: 'Checks', description: 'An image and its verdict.' },
  { name: 'Jobs', description: 'Checks whose caller does not wait for the verdict.' },
  { name: 'Sessions', description: 'Send a person to a page that takes the photo.' },
  {
    name: 'Pages',
    description: 'What the page of a session calls. The sid is the only credential.',
  },
  {
    name: 'Webhooks',
    description: 'Notifications at the end of a check or a session, as in Standard Webhooks.',
  },
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
Send one selfie; the answer says how likely the face is a spoof. Self-hosted, with the request and the answer
of the GLAIR Vision passive-liveness API. Every error is JSON in one form, \`ErrorBody\`. A path that supports
GET supports HEAD.
`.trim();
