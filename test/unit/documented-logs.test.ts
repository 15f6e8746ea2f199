import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

function readFiles(folder: string, extension: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => extension.test(path) && !/node_modules|dist\/|\.test\.ts/.test(path))
    .map((path) => readFileSync(join(root, folder, path), 'utf8'));
}

/** Every text of the code, and every template of at least eight letters. */
function readTexts(): string[] {
  const code = ['apps', 'packages/core/src'].flatMap((folder) => readFiles(folder, /\.ts$/));
  const literals = code.flatMap((text) => [...text.matchAll(/'([^'\n]+)'|`([^`\n]{8,})`/g)]);
  return [...new Set(literals.map(([, plain, template]) => plain ?? template ?? ''))];
}

/** In a template, `${…}` stands for anything. */
function toPattern(text: string): RegExp {
  const parts = text.split(/\$\{[^}]*\}/).map((part) => escape(part));
  return new RegExp(`^${parts.join('.+')}$`);
}

const escape = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

const texts = readTexts();
const messages = texts
  .map(toPattern)
  .filter(({ source }) => source.replaceAll('.+', '').length > 5);
const isWritten = (text: string) => messages.some((message) => message.test(text));

it('every log line that the documentation quotes is one that the code writes', () => {
  const quoted = readFiles('docs', /\.md$/).flatMap((page) =>
    [...page.matchAll(/log\s+line\s+`([^`]+)`/g)].map(([, line = '']) => line),
  );
  expect(quoted.length).toBeGreaterThan(10);
  expect(quoted.filter((line) => !isWritten(line))).toEqual([]);
});

/** Whether the code writes it, perhaps with more around it; a quote may end in "…". */
const isPartOfText = (quoted: string) =>
  texts.some((text) => text.includes(quoted.replace(/ ?…$/, '')));

/** What Redis, CUDA and ONNX Runtime write. */
const FOREIGN = new Set([
  'Asynchronous AOF fsync is taking too long',
  'max number of clients',
  'out of memory',
  'no CUDA-capable device is detected',
  'invalid device ordinal',
]);

it('every sentence that the documentation quotes is one that the code writes', () => {
  const quoted = readFiles('docs', /\.md$/)
    .map((page) => page.replaceAll(/^```[^]*?^```/gm, ''))
    .flatMap((page) => [...page.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text))
    .map((text) => text.replaceAll(/\s+/g, ' '))
    .filter((text) => /^[a-zA-Z][\w-]*[,:]?( [\w-]+[,:]?){2,}( …)?$/.test(text))
    .filter((text) => !/^(npm|node|docker|kubectl|redis-cli|openssl|credentials) /.test(text))
    .filter((text) => !text.startsWith('Livegate-'));
  expect(quoted.length).toBeGreaterThan(20);
  const ours = quoted.filter((text) => !FOREIGN.has(text));
  expect(ours.filter((text) => !isWritten(text) && !isPartOfText(text))).toEqual([]);
});
