import * as fc from 'fast-check';
import type { Schema } from '../../../apps/api/src/openapi/document-types.js';

export interface SchemaDeps {
  resolve: (schema: { $ref: string }) => Schema;
  /** For strings without another rule. */
  texts: fc.Arbitrary<string>;
  /** For binary members. */
  images: fc.Arbitrary<Buffer>;
}

/** One value in this many breaks a rule of its schema. */
const WRONG_ONE_IN = 8;

/** Values of a JSON Schema, as far as the document uses it, some of which break one of its rules. */
export function valuesOf(schema: Schema, deps: SchemaDeps): fc.Arbitrary<unknown> {
  const wrong = fc.oneof(
    deps.texts,
    fc.jsonValue(),
    fc.constantFrom(null, -1, 2 ** 53, [], {}, ''),
  );
  return fc.oneof(
    { weight: WRONG_ONE_IN - 1, arbitrary: fittingValues(schema, deps) },
    { weight: 1, arbitrary: wrong },
  );
}

function fittingValues(schema: Schema, deps: SchemaDeps): fc.Arbitrary<unknown> {
  if ('$ref' in schema) return valuesOf(deps.resolve(schema as { $ref: string }), deps);
  if ('const' in schema) return fc.constant(schema['const']);
  const choices = (schema['enum'] ?? []) as unknown[];
  if (choices.length > 0) return fc.constantFrom(...choices);
  const options = (schema['anyOf'] ?? schema['oneOf'] ?? []) as Schema[];
  if (options.length > 0) return fc.oneof(...options.map((option) => valuesOf(option, deps)));
  const { type } = schema;
  const [first] = Array.isArray(type) ? (type as string[]) : [type as string | undefined];
  switch (first) {
    case 'object':
      return objectValues(schema, deps);
    case 'array':
      return fc.array(valuesOf((schema['items'] ?? {}) as Schema, deps), { maxLength: 4 });
    case 'integer':
    case 'number':
      return numberValues(schema);
    case 'boolean':
      return fc.boolean();
    case 'string':
      return stringValues(schema, deps);
    default:
      // Without a type: any value, as for the binary parts of a form.
      return deps.images;
  }
}

function objectValues(schema: Schema, deps: SchemaDeps): fc.Arbitrary<unknown> {
  const members = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
  const arbitraries = Object.fromEntries(
    members.map(([name, member]) => [name, valuesOf(member, deps)]),
  );
  const required = ((schema['required'] ?? []) as string[]).filter((name) => name in arbitraries);
  const fits = fc.record(arbitraries, { requiredKeys: required, noNullPrototype: true });
  const lacks = fc.record(arbitraries, { requiredKeys: [], noNullPrototype: true });
  const more = fc.tuple(fits, deps.texts, fc.jsonValue()).map(([fitting, name, value]) => ({
    ...fitting,
    [name]: value,
  }));
  return fc.oneof({ weight: WRONG_ONE_IN, arbitrary: fits }, lacks, more);
}

function numberValues(schema: Schema): fc.Arbitrary<number> {
  const min = Number(schema['minimum'] ?? -1000);
  const max = Number(schema['maximum'] ?? 1e6);
  return fc.oneof(
    fc.integer({ min: Math.ceil(min), max: Math.floor(max) }),
    fc.constantFrom(min, max, min - 1, max + 1, 0.5, 1e308),
  );
}

function stringValues(schema: Schema, deps: SchemaDeps): fc.Arbitrary<unknown> {
  if (schema['format'] === 'binary' || 'contentMediaType' in schema) return deps.images;
  if (schema['contentEncoding'] === 'base64' || schema['format'] === 'byte') {
    return deps.images.map((image) => image.toString('base64'));
  }
  if (schema['format'] === 'uuid') return fc.uuid();
  const { pattern } = schema;
  // A pattern that fast-check cannot generate from is met by luck only.
  return typeof pattern === 'string' ? fc.oneof(matching(pattern), deps.texts) : deps.texts;
}

function matching(pattern: string): fc.Arbitrary<string> {
  try {
    return fc.stringMatching(new RegExp(pattern));
  } catch {
    return fc.constant('');
  }
}
