import formats from 'ajv-formats';
import { Ajv2020, type AnySchema, type ValidateFunction } from 'ajv/dist/2020.js';
import type {
  Header,
  MediaType,
  Method,
  OpenApiDocument,
  Operation,
  Reference,
  Response,
} from '../../../../apps/api/src/openapi/document-types.js';

export interface DocumentedOperation {
  path: string;
  method: Method;
  operation: Operation;
}

export interface CheckedAnswer {
  status: number;
  /** Names in lower case. */
  headers: Map<string, string>;
  /** Parsed, if it was JSON. */
  body: unknown;
}

/** Undocumented headers, of HTTP itself and of the /docs page; no API client reads them. */
const transportHeaders = new Set([
  'accept-ranges',
  'cache-control',
  'connection',
  'content-length',
  'content-type',
  'date',
  'keep-alive',
  'last-modified',
  'referrer-policy',
  'transfer-encoding',
  'x-content-type-options',
]);

/** Checks answers and examples against a document. Stricter than a client should be: see `close`. */
export function createDocumentChecker(document: OpenApiDocument) {
  const ajv = new Ajv2020({ allErrors: true, strictTypes: false });
  formats.default(ajv);
  ajv.addKeyword('components');
  ajv.addSchema({ $id: 'document', components: close(document.components) } as AnySchema);
  const compiled = new Map<string, ValidateFunction>();

  return { check, checkValue, findResponse };

  /** Lists every difference between an answer and the document. */
  function check({ operation }: DocumentedOperation, answer: CheckedAnswer): string[] {
    const response = findResponse(operation, answer.status);
    if (!response) return [`status ${answer.status} is not documented`];
    const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
    const media = response.content[type];
    if (!media) return [`the content type ${type} is not documented`];
    return [
      ...checkHeaders(response, answer.headers),
      ...checkValue(media, answer.body),
      ...checkErrorCode(media, answer),
    ];
  }

  /** All errors share one schema, so the documented codes of an answer are those of its examples. */
  function checkErrorCode({ examples = {} }: MediaType, { status, body }: CheckedAnswer): string[] {
    const { error_code: code, http_status: stated } = body as Record<string, unknown>;
    if (code === undefined) return [];
    const shown = Object.values(examples).map(({ value }) => value as Record<string, unknown>);
    const isShown = shown.some((error) => error['error_code'] === code);
    return [
      ...(isShown ? [] : [`the error ${JSON.stringify(code)} is not documented`]),
      ...(stated === status ? [] : [`http_status is ${JSON.stringify(stated)}, not ${status}`]),
    ];
  }

  function checkHeaders(response: Response, headers: Map<string, string>): string[] {
    const documented = new Map(
      Object.entries(response.headers).map(([name, header]) => [
        name.toLowerCase(),
        resolve<Header>(header),
      ]),
    );
    const unknown = [...headers.keys()].filter(
      (name) => !transportHeaders.has(name) && !documented.has(name),
    );
    const wrong = [...documented].flatMap(([name, header]) => {
      const value = headers.get(name);
      if (value !== undefined) return checkValue(header, value);
      return header.required ? [`the header ${name} is missing`] : [];
    });
    return [...unknown.map((name) => `the header ${name} is not documented`), ...wrong];
  }

  function checkValue({ schema }: Pick<MediaType, 'schema'>, value: unknown): string[] {
    const text = JSON.stringify(schema).replaceAll('"#/components', '"document#/components');
    const validate = compiled.get(text) ?? ajv.compile(JSON.parse(text) as AnySchema);
    compiled.set(text, validate);
    if (validate(value)) return [];
    return [`${ajv.errorsText(validate.errors)}: ${JSON.stringify(value)?.slice(0, 300)}`];
  }

  /** The response documented for this status, or the default one. */
  function findResponse({ responses }: Operation, status: number): Response | undefined {
    const response = responses[status] ?? responses['default'];
    return response && resolve<Response>(response);
  }

  function resolve<T extends object>(item: T | Reference): T {
    if (!('$ref' in item)) return item;
    const [, , kind = '', name = ''] = item.$ref.split('/');
    return document.components[kind]?.[name] as T;
  }
}

export function listOperations(document: OpenApiDocument): DocumentedOperation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      path,
      method: method as Method,
      operation,
    })),
  );
}

/** Refuses undocumented members, which the document allows so that later versions can add them. */
function close(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(close);
  if (typeof value !== 'object' || value === null) return value;
  const closed = Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, close(member)]),
  );
  const isOpenObject = closed['type'] === 'object' && closed['additionalProperties'] === undefined;
  return isOpenObject ? { ...closed, additionalProperties: false } : closed;
}
