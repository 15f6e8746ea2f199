// The parts of OpenAPI 3.1 that this document uses.

export interface Reference {
  $ref: string;
}

/** JSON Schema 2020-12. */
export type Schema = Record<string, unknown>;

export interface Example {
  summary?: string;
  description?: string;
  value: unknown;
}

export interface MediaType {
  schema: Schema;
  examples?: Record<string, Example>;
}

export interface Header {
  description: string;
  required?: boolean;
  schema: Schema;
  example?: string;
}

export interface Parameter {
  name: string;
  in: 'header' | 'path' | 'query';
  description: string;
  required?: boolean;
  schema: Schema;
  examples?: Record<string, Example>;
}

export interface Response {
  description: string;
  headers: Record<string, Header | Reference>;
  content: Record<string, MediaType>;
}

export interface RequestBody {
  description?: string;
  required: boolean;
  content: Record<string, MediaType>;
}

export interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  /** Empty: no credentials needed. */
  security: Record<string, string[]>[];
  parameters?: (Parameter | Reference)[];
  requestBody?: RequestBody;
  responses: Record<string, Response | Reference>;
}

export type Method = 'get' | 'post' | 'patch' | 'delete';
export type PathItem = Partial<Record<Method, Operation>>;
export type Paths = Record<string, PathItem>;

export interface OpenApiDocument {
  openapi: string;
  info: {
    title: string;
    version: string;
    summary: string;
    description: string;
    contact: { name: string };
    license: { name: string; identifier: string };
  };
  servers: { url: string }[];
  tags: { name: string; description: string }[];
  paths: Paths;
  webhooks: Record<string, PathItem>;
  components: Record<string, Record<string, unknown>>;
}
