import type { MediaType, Parameter, Paths } from '../document-types.js';
import { modelSets } from '../examples.js';
import { listHeaders } from '../headers.js';
import { describeOperation, jsonAnswer } from './describe-operation.js';

/** What needs no credentials. `pageAssets` are the names of the files behind `/docs`. */
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

const listModels = describeOperation({
  operationId: 'listModels',
  tags: ['Service'],
  summary: 'List the models and thresholds in force',
  answers: {
    200: jsonAnswer('What answers now.', {
      schema: 'ModelSets',
      examples: { models: modelSets },
    }),
  },
  errors: ['unavailable'],
});

const livez = describeOperation({
  operationId: 'livez',
  tags: ['Service'],
  summary: 'Whether the process answers',
  answers: {
    200: jsonAnswer('It does.', {
      schema: 'Alive',
      examples: { alive: { value: { status: 'ok' } } },
    }),
  },
});

const readyz = describeOperation({
  operationId: 'readyz',
  tags: ['Service'],
  summary: 'Whether checks can be taken',
  answers: {
    200: jsonAnswer('They can.', {
      schema: 'Ready',
      examples: { ready: { value: { status: 'ok', workers: 2 } } },
    }),
    503: jsonAnswer('They cannot, and why.', {
      schema: 'NotReady',
      examples: {
        'no worker': { value: { status: 'unavailable', problem: 'no worker is alive' } },
      },
    }),
  },
});

const readDocument = describeOperation({
  operationId: 'readOpenApiDocument',
  tags: ['Service'],
  summary: 'This document',
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
const image: MediaType = { schema: { type: 'string', contentMediaType: 'image/png' } };

const readPage = describeOperation({
  operationId: 'readDocs',
  tags: ['Service'],
  summary: 'This document as a page to browse and to try',
  answers: {
    200: {
      description: 'The page. It loads nothing from anywhere else.',
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
    tags: ['Service'],
    summary: 'A file that the page needs',
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
