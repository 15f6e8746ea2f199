import { type ErrorCode, errorMessages, LivegateError } from '@livegate/core/domain';
import { describe, expect, it } from 'vitest';
import { presentError } from './present-error.js';

describe('presentError', () => {
  it.each(Object.keys(errorMessages) as ErrorCode[])(
    'puts the sentence of the GLAIR API into 401 and 403 answers only: %s',
    (code) => {
      const { status, body } = presentError(new LivegateError(code), crypto.randomUUID());
      const isRefusal = status === 401 || status === 403;
      expect(body.error).toBe(isRefusal ? 'Access to this API has been disallowed' : undefined);
      expect(body.error_message).toBe(errorMessages[code]);
    },
  );
});
