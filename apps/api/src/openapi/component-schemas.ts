import { z } from 'zod';
import * as answers from '../contract/answer-schemas.js';
import * as sessions from '../contract/sessions.js';
import * as hooks from '../contract/webhooks.js';
import type { Example, MediaType, Schema } from './document-types.js';

/** Schemas of answers. */
const answered = {
  Alive: answers.aliveSchema,
  Deletion: answers.deletionSchema,
  ErrorBody: answers.errorSchema,
  ErrorCode: answers.errorCodeSchema,
  Job: answers.jobSchema,
  ModelSets: answers.modelSetsSchema,
  NotReady: answers.notReadySchema,
  OpenApiDocument: answers.documentSchema,
  PageState: sessions.pageStateSchema,
  Quality: answers.qualitySchema,
  Ready: answers.readySchema,
  Session: sessions.sessionSchema,
  SessionCancellation: sessions.cancellationSchema,
  SessionCreated: sessions.createdSessionSchema,
  SessionDeletion: sessions.sessionDeletionSchema,
  Verdict: answers.verdictSchema,
  WebhookCheckEvent: hooks.checkEventSchema,
  WebhookDeliveries: hooks.deliveriesSchema,
  WebhookDelivery: hooks.deliverySchema,
  WebhookEndpoint: hooks.endpointSchema,
  WebhookEndpointCreated: hooks.createdEndpointSchema,
  WebhookEndpoints: hooks.endpointsSchema,
  WebhookEndpointSecret: hooks.rotatedEndpointSecretSchema,
  WebhookSecret: hooks.rotatedSecretSchema,
  WebhookSessionEvent: hooks.sessionEventSchema,
  WebhookTestEvent: hooks.testEventSchema,
};

/** Schemas of request bodies. */
const sent = {
  SessionCreation: sessions.sessionCreationSchema,
  SecretRotation: hooks.rotationSchema,
  WebhookEndpointChanges: hooks.changesSchema,
  WebhookEndpointCreation: hooks.creationSchema,
};

export type SchemaName = keyof typeof answered | keyof typeof sent;

/** A reference to a schema in `components`. */
export function ref(name: SchemaName) {
  return { $ref: `#/components/schemas/${name}` };
}

/** The content of a JSON body. */
export function json(
  schema: SchemaName,
  examples: Record<string, Example>,
): Record<string, MediaType> {
  return { 'application/json': { schema: ref(schema), examples } };
}

export function createComponentSchemas(): Record<string, Schema> {
  return { ...toJsonSchemas(answered, 'output'), ...toJsonSchemas(sent, 'input') };
}

function toJsonSchemas(schemas: Record<string, z.ZodType>, io: 'input' | 'output') {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  const converted = z.toJSONSchema(registry, {
    io,
    uri: (id) => `#/components/schemas/${id}`,
    override: ({ jsonSchema }) => tidy(jsonSchema, io),
  });
  // Zod makes each schema a document of its own; here they are parts of one.
  for (const schema of Object.values(converted.schemas)) {
    delete schema.$schema;
    delete schema.$id;
  }
  return converted.schemas as Record<string, Schema>;
}

function tidy(schema: Schema, io: 'input' | 'output'): void {
  // The format says the same and is readable.
  if (schema['format']) delete schema['pattern'];
  if (schema['maximum'] === Number.MAX_SAFE_INTEGER) delete schema['maximum'];
  if (schema['minimum'] === Number.MIN_SAFE_INTEGER) delete schema['minimum'];
  // Later versions may add members to an answer, which must not break clients.
  if (io === 'output' && schema['additionalProperties'] === false) {
    delete schema['additionalProperties'];
  }
}
