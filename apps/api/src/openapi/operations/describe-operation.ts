import type { ErrorCode } from '@livegate/core/domain';
import { json, type SchemaName } from '../component-schemas.js';
import type { Example, Operation, Parameter, Response } from '../document-types.js';
import { callerRequestId, errorResponses, type HeaderName, listHeaders } from '../shared-parts.js';

export interface OperationFacts extends Omit<Operation, 'responses' | 'parameters'> {
  parameters?: Parameter[];
  answers: Record<number, Response>;
  errors?: ErrorCode[];
  /** Headers that errors may have in addition. */
  errorHeaders?: HeaderName[];
  /** Other forms of the same errors than JSON. */
  errorContent?: Response['content'];
}

/** Adds what all operations have in common. */
export function describeOperation(facts: OperationFacts): Operation {
  const { answers, errors = [], parameters = [], errorHeaders = [], errorContent, ...rest } = facts;
  const mayPrefer = parameters.some(({ name }) => name === 'Prefer');
  return {
    ...rest,
    parameters: [...parameters, callerRequestId],
    responses: {
      ...answers,
      ...errorResponses(errors, {
        sometimes: mayPrefer ? ['Preference-Applied', ...errorHeaders] : errorHeaders,
        ...(errorContent && { content: errorContent }),
      }),
    },
  };
}

/** No credentials needed. */
export const noCredentials: Operation['security'] = [];

/** Basic and x-api-key together. */
export const bothCredentials = [{ basic: [], apiKey: [] }];

export const credentialErrors: ErrorCode[] = ['unauthorized', 'forbidden'];

export interface AnswerFacts {
  schema: SchemaName;
  examples: Record<string, Example>;
  always?: HeaderName[];
  sometimes?: HeaderName[];
}

/** One JSON answer, with its headers in addition to those of every answer. */
export function jsonAnswer(description: string, facts: AnswerFacts): Response {
  return { description, headers: listHeaders(facts), content: json(facts.schema, facts.examples) };
}
