import type { MediaType, Parameter, Paths } from '../document-types.js';
import { modelSets } from '../examples.js';
import { listHeaders } from '../shared-parts.js';
import { describeOperation, jsonAnswer, noCredentials } from './describe-operation.js';

/** Operations without credentials. `pageAssets` are the names of the files below `/docs`. */
export function publicPaths(pageAssets: string[]): Paths {
  return {
    '/v1/models': { get: listModels },
    '/livez': { get: livez },
    '/readyz': { get: readyz },
    '/openapi.json': { get: readDocument },
    '/docs': { get: readPage },
    '/docs/{asset}': { get: readAsset(pageAssets) },
  };
}

const shared = { tags: ['Service'], security: noCredentials };

const listModels = describeOperation({
  operationId: 'listModels',
  ...shared,
  summary: 'List the models and thresholds in force',
  description:
    'The models of the live workers, with version and hash, and the cut points of the verdict.',
  answers: {
    200: jsonAnswer('The models in use now.', {
      schema: 'ModelSets',
      examples: { models: modelSets },
    }),
  },
  errors: ['unavailable'],
});

const livez = describeOperation({
  operationId: 'livez',
  ...shared,
  summary: 'Whether the process answers',
  description: 'Does not depend on Redis or a worker. For the liveness probe of an orchestrator.',
  answers: {
    200: jsonAnswer('The process answers.', {
      schema: 'Alive',
      examples: { alive: { value: { status: 'ok' } } },
    }),
  },
});

const readyz = describeOperation({
  operationId: 'readyz',
  ...shared,
  summary: 'Whether checks are admitted',
  description:
    'Redis is reachable, its data has our schema, and a live worker reads our checks. For a load ' +
    'balancer.',
  answers: {
    200: jsonAnswer('Checks are admitted.', {
      schema: 'Ready',
      examples: { ready: { value: { status: 'ok', workers: 2 } } },
    }),
    503: jsonAnswer('Checks are refused, with the reason.', {
      schema: 'NotReady',
      examples: {
        'no worker': { value: { status: 'unavailable', problem: 'no worker is alive' } },
      },
    }),
  },
});

const readDocument = describeOperation({
  operationId: 'readOpenApiDocument',
  ...shared,
  summary: 'This document',
  description:
    'Includes the limits in force. Describes a check sent as a file, or as base64 with `body=json`.',
  parameters: [
    {
      name: 'body',
      in: 'query',
      description: 'How a check is sent in the document.',
      schema: { type: 'string', enum: ['multipart', 'json'], default: 'multipart' },
      examples: { multipart: { value: 'multipart' }, json: { value: 'json' } },
    },
  ],
  answers: {
    200: jsonAnswer('An OpenAPI 3.1 document.', {
      schema: 'OpenApiDocument',
      examples: {
        'its beginning': {
          value: { openapi: '3.1.1', info: { title: 'Livegate', version: '0.1.0' }, paths: {} },
        },
      },
    }),
  },
});

const text: MediaType = { schema: { type: 'string' } };
const image: MediaType = {
  schema: { type: 'string', format: 'binary', contentMediaType: 'image/png' },
};

const readPage = describeOperation({
  operationId: 'readDocs',
  ...shared,
  summary: 'This document as a page to browse and to try requests on',
  description: 'For a browser. Needs no network beyond this gateway.',
  answers: {
    200: {
      description: 'The page. It loads nothing from other hosts.',
      headers: listHeaders({ always: ['Content-Security-Policy'] }),
      content: { 'text/html': text },
    },
  },
});

function readAsset(names: string[]) {
  const asset: Parameter = {
    name: 'asset',
    in: 'path',
    required: true,
    description: 'The name of the file.',
    schema: { type: 'string', enum: names },
    examples: Object.fromEntries(names.map((name) => [name, { value: name }])),
  };
  return describeOperation({
    operationId: 'readDocsAsset',
    ...shared,
    summary: 'A file that the page needs',
    description: 'Scripts, styles and the icon of `/docs`.',
    parameters: [asset],
    answers: {
      200: {
        description: 'The file.',
        headers: listHeaders({}),
        content: { 'text/css': text, 'text/javascript': text, 'image/png': image },
      },
    },
    errors: ['not_found'],
  });
}
