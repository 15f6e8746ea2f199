import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  asRefusal,
  type ErrorCode,
  errorMessages,
  isErrorCode,
  isStoreFailure,
  LivegateError,
  readRefusal,
  writeRefusal,
} from './errors.js';

const codes = Object.keys(errorMessages) as ErrorCode[];

describe('a LivegateError', () => {
  it('shows the message of its code, and is logged with its detail', () => {
    const cause = new Error('ECONNRESET');
    const error = new LivegateError('unavailable', { detail: 'Redis is loading', cause });
    expect(error).toMatchObject({
      name: 'LivegateError',
      message: 'Redis is loading',
      detail: 'Redis is loading',
      publicMessage: errorMessages.unavailable,
      isCallersChoice: false,
      cause,
    });
  });

  it('is logged with its public message if it has no detail', () => {
    const error = new LivegateError('timeout', { publicMessage: 'wait=3', isCallersChoice: true });
    expect(error).toMatchObject({
      message: 'wait=3',
      publicMessage: 'wait=3',
      detail: undefined,
      isCallersChoice: true,
    });
    expect(new LivegateError('timeout').message).toBe(errorMessages.timeout);
  });
});

describe('an error', () => {
  it('is the fault of the request unless a retry of the same job may succeed', () => {
    const ours = codes.filter((code) => !asRefusal(new LivegateError(code)));
    expect(ours.toSorted()).toEqual(['internal_error', 'overloaded', 'timeout', 'unavailable']);
    const refusal = new LivegateError('invalid_image');
    expect(asRefusal(refusal)).toBe(refusal);
    expect(asRefusal(new Error('a bug'))).toBeUndefined();
  });

  it('is a store failure if Redis was unreachable or full', () => {
    const failures = codes.filter((code) => isStoreFailure(new LivegateError(code)));
    expect(failures.toSorted()).toEqual(['overloaded', 'unavailable']);
    expect(isStoreFailure(Object.assign(new Error('a bug'), { code: 'unavailable' }))).toBe(false);
  });
});

describe('a refusal as text', () => {
  const lines = fc.string({ unit: fc.oneof(fc.constant('\n'), fc.string({ maxLength: 3 })) });
  const messages = fc.option(lines, { nil: undefined });

  it('is read as it was written', () => {
    fc.assert(
      fc.property(fc.constantFrom(...codes), messages, (code, publicMessage) => {
        const error = new LivegateError(code, publicMessage === undefined ? {} : { publicMessage });
        const isOwn = publicMessage !== undefined && publicMessage !== errorMessages[code];
        const message = isOwn ? { message: publicMessage } : {};
        expect(readRefusal(writeRefusal(error))).toStrictEqual({ error: code, ...message });
      }),
    );
  });

  it('is only its code if its message is that of the code', () => {
    expect(writeRefusal(new LivegateError('canceled'))).toBe('canceled');
  });

  it.each(['', 'Error: job stalled', 'toString', 'invalid_image_\nx', '\ninvalid_image'])(
    'hides any other text: %j',
    (text) => {
      expect(readRefusal(text)).toEqual({ error: 'internal_error' });
    },
  );
});

it('isErrorCode is true for the names of codes only', () => {
  expect(codes.every(isErrorCode)).toBe(true);
  for (const other of ['constructor', '', undefined, 1, ['timeout']]) {
    expect(isErrorCode(other)).toBe(false);
  }
});
