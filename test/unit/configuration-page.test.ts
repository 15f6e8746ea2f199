import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { writeConfigurationPage } from '../../tools/docs/configuration-page.js';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(resolve(root, path), 'utf8');
const page = writeConfigurationPage(read('.env.example'));

it('the configuration page is what "npm run docs:config" writes from the code', () => {
  expect(read('docs/reference/configuration.md')).toBe(page);
});

it('the configuration page explains every setting of .env.example, with its value and default', () => {
  const keys = [...read('.env.example').matchAll(/^# ?([A-Z_]+)=/gm)].map(([, key]) => key);
  const described = [
    ...page.matchAll(/^### `([A-Z_]+)`\n\n[\w`][^]*?\n\n- Value: \S.*\n- Default: \S/gm),
  ].map(([, key]) => key);
  expect(new Set(described)).toEqual(new Set(keys));
  expect(described).toHaveLength(keys.length);
});

it('the configuration page says which settings gateway and worker must share', () => {
  expect(page).toContain(
    '## Gateway and worker\n\nBoth need the same values, except for the last three.\n',
  );
});
