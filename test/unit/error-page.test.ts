import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { listErrors } from '../../apps/api/src/openapi/shared-parts.js';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/reference/errors.md'), 'utf8');

/** Under `## status`: `### code`, its message as a quotation, and at least a line of explanation. */
function readErrors() {
  return page.split(/^## (?=\d{3}$)/m).flatMap((section) => {
    const errors = section.matchAll(/^### `(\w+)`\n\n> (.+)\n\n\S.{20}/gm);
    return [...errors].map(([, code, message]) => ({
      status: Number.parseInt(section, 10),
      code,
      message,
    }));
  });
}

it('the page of errors explains every code under its status, with its message', () => {
  expect(readErrors()).toEqual(listErrors());
});

it('the page of errors explains no code that does not exist', () => {
  expect(page.match(/^### /gm)).toHaveLength(listErrors().length);
});
