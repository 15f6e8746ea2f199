import { expect } from 'vitest';

export const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The body that every error must have. */
export function errorBody(status: number, code: string) {
  return {
    status: 'failed',
    error_message: expect.any(String),
    error_code: code,
    request_id: expect.stringMatching(uuidV7),
    http_status: status,
    // GLAIR's sentence, which the test of its Java SDK compares.
    ...((status === 401 || status === 403) && { error: 'Access to this API has been disallowed' }),
  };
}
