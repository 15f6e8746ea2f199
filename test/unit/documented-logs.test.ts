import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

function readFiles(folder: string, extension: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => extension.test(path) && !/node_modules|dist\/|\.test\.ts/.test(path))
    .map((path) => readFileSync(join(root, folder, path), 'utf8'));
}

/** Every text of the code; in a template of at least eight letters, `${…}` stands for anything. */
function readMessages(): RegExp[] {
  const code = ['apps', 'packages/core/src'].flatMap((folder) => readFiles(folder, /\.ts$/));
  const literals = code.flatMap((text) => [...text.matchAll(/'([^'\n]+)'|`([^`\n]{8,})`/g)]);
  const texts = literals.map(([, plain, template]) => plain ?? template ?? '');
  return [...new Set(texts)].map((text) => {
    const parts = text.split(/\$\{[^}]*\}/).map((part) => escape(part));
    return new RegExp(`^${parts.join('.+')}$`);
  });
}

const escape = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

it('every log line that the documentation quotes is one that the code writes', () => {
  const quoted = readFiles('docs', /\.md$/).flatMap((page) =>
    [...page.matchAll(/log\s+line\s+`([^`]+)`/g)].map(([, line = '']) => line),
  );
  const messages = readMessages().filter(({ source }) => source.replaceAll('.+', '').length > 5);
  expect(quoted.length).toBeGreaterThan(10);
  expect(quoted.filter((line) => !messages.some((message) => message.test(line)))).toEqual([]);
});
