import { type ErrorCode, errorMessages } from '@livegate/core/domain';
import { Validator } from '@seriousme/openapi-schema-validator';
import { type Express, Router } from 'express';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { httpStatusOf } from '../../apps/api/src/contract/present-error.js';
import { createServer, type ServerDeps } from '../../apps/api/src/gateway/server.js';
import { createOpenApiDocument } from '../../apps/api/src/openapi/create-document.js';
import { pageAssets } from '../../apps/api/src/openapi/serve-docs.js';
import { listRoutes } from '@livegate/testing/gateway/list-routes';
import { createDocumentChecker, listOperations } from '@livegate/testing/product/document-checker';

const options = {
  limits: { maxImageBytes: 10 * 1024 * 1024, maxImagePixels: 52_000_000 },
  waitLimitMs: 25_000,
  rateLimitPerMinute: 0,
  otherRequestsPerMinute: 0,
  publicUrl: undefined,
  sessions: { keepMs: 0, frameAncestors: "'none'", requestsPerAddress: 0 },
};
const document = createOpenApiDocument({ ...options, pageAssets, body: 'multipart' });
const jsonDocument = createOpenApiDocument({ ...options, pageAssets, body: 'json' });
const operations = listOperations(document);
const checker = createDocumentChecker(document);

/** `method /path` of every route that answers, with the document's path syntax. */
function listPaths(app: Express): string[] {
  const { routes } = listRoutes(app);
  return routes.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
}

function createApp(more: Partial<ServerDeps> = {}): Express {
  // The tests send no request, so the routes never use their dependencies.
  const deps = { webhooks: { routes: {} }, log: pino({ level: 'silent' }), ...more };
  return createServer(options, deps as unknown as ServerDeps);
}

describe('the OpenAPI document', () => {
  it.each([
    ['multipart', document],
    ['json', jsonDocument],
  ])('is valid under the official schema of OpenAPI 3.1: %s', async (_body, either) => {
    const { valid, errors } = await new Validator().validate(
      structuredClone(either) as unknown as Record<string, unknown>,
    );
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
  });

  it('has exactly the routes of the server', () => {
    const documented = operations.map(({ method, path }) => `${method} ${path}`);
    const routes = listPaths(createApp());
    expect(routes.length).toBeGreaterThan(15);
    expect(documented.toSorted()).toEqual(routes.toSorted());
  });

  it('leaves out the queue board, which is not part of the API', () => {
    const queueBoard = Router().get('/board', () => undefined);
    const routes = listPaths(createApp({ queueBoard }));
    expect(routes).toContain('get /operator/queues/board');
    expect(operations.filter(({ path }) => /operator|board/.test(path))).toEqual([]);
  });

  it('offers a check with exactly one content type, so that a generator has no choice to make', () => {
    const typesOf = ({ paths }: typeof document) =>
      Object.keys(paths['/face/v1/passive-liveness']?.post?.requestBody?.content ?? {});
    expect(typesOf(document)).toEqual(['multipart/form-data']);
    expect(typesOf(jsonDocument)).toEqual(['application/json']);
  });

  it('uses one schema for the body of every error', () => {
    const ownErrors = operations.flatMap(({ operation }) =>
      Object.keys(operation.responses)
        .filter((status) => !status.startsWith('2'))
        .map((status) => checker.findResponse(operation, Number.parseInt(status, 10) || 500)),
    );
    const schemas = ownErrors.map((response) => response?.content['application/json']?.schema);
    const names = new Set(schemas.map((schema) => schema?.['$ref']));
    // /readyz has its own body: a 503 there is not an error of the request.
    expect(names).toEqual(
      new Set(['#/components/schemas/ErrorBody', '#/components/schemas/NotReady']),
    );
  });

  it('gives every operation a unique id', () => {
    const names = operations.map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(names.length);
  });

  it('lists every error code with its status and message', () => {
    const documented = new Map(
      operations.flatMap(({ operation }) =>
        Object.keys(operation.responses).flatMap((status) => listErrors(operation, status)),
      ),
    );
    expect([...documented.keys()].toSorted()).toEqual(Object.keys(errorMessages).toSorted());
    const { schemas = {} } = document.components;
    for (const [code, message] of Object.entries(errorMessages)) {
      const row = `| ${httpStatusOf(code as ErrorCode)} | \`${code}\` | ${message} |`;
      expect(schemas['ErrorCode']).toHaveProperty('description', expect.stringContaining(row));
      expect(documented.get(code)).toBe(httpStatusOf(code as ErrorCode));
    }
  });

  function listErrors(operation: (typeof operations)[number]['operation'], status: string) {
    const response = checker.findResponse(operation, Number(status));
    const examples = response?.content['application/json']?.examples ?? {};
    return Object.values(examples).flatMap(({ value }): [string, number][] => {
      const { error_code: code, http_status: http } = value as Record<string, unknown>;
      return typeof code === 'string' && typeof http === 'number' ? [[code, http]] : [];
    });
  }

  it('states the configured limits and public URL', () => {
    const limits = { maxImageBytes: 4711, maxImagePixels: 1234 };
    const publicUrl = 'https://faces.example/livegate/';
    const own = createOpenApiDocument({ ...options, limits, publicUrl, pageAssets, body: 'json' });
    const { requestBody } = own.paths['/face/v1/passive-liveness']!.post!;
    expect(requestBody?.description).toMatch(/4711 bytes, 1234 pixels/);
    expect(own.servers).toEqual([{ url: 'https://faces.example/livegate' }]);
  });

  const examples = [
    ...operations.flatMap(({ operation }) => listExamples(operation)),
    ...listOperations(jsonDocument).flatMap(({ operation }) => listExamples(operation)),
    ...Object.values(document.webhooks).flatMap(({ post }) => listExamples(post!)),
  ];

  function listExamples({ operationId, requestBody, parameters = [], responses }: Operation) {
    const bodies = Object.entries(requestBody?.content ?? {});
    const answers = Object.keys(responses).flatMap((status) =>
      Object.entries(
        checker.findResponse({ responses } as Operation, Number(status))?.content ?? {},
      ).map(([type, media]) => [`${status} ${type}`, media] as const),
    );
    const own = parameters.filter((parameter) => 'name' in parameter);
    const named = own.map((parameter) => [parameter.name, parameter] as const);
    return [...bodies, ...answers, ...named].flatMap(([place, { schema, examples: some = {} }]) => {
      const inSchema = (schema['examples'] ?? []) as unknown[];
      const values = [...Object.values(some).map(({ value }) => value), ...inSchema];
      return values.map((value) => ({ name: `${operationId}, ${place}`, schema, value }));
    });
  }

  type Operation = (typeof operations)[number]['operation'];

  it('has only examples that match their schemas', () => {
    expect(examples.length).toBeGreaterThan(200);
    const problems = examples.flatMap(({ name, schema, value }) =>
      checker.checkValue({ schema }, value).map((problem) => `${name}: ${problem}`),
    );
    expect(problems).toEqual([]);
  });

  it('would fail these tests with an example that does not match its schema', () => {
    const alive = { $ref: '#/components/schemas/Alive' };
    expect(checker.checkValue({ schema: alive }, { status: 'ok', more: 1 })).toHaveLength(1);
    expect(checker.checkValue({ schema: alive }, { status: 'dead' })).toHaveLength(1);
  });
});
