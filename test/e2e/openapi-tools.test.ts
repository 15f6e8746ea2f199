import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { writeSamplePhoto } from '../../tools/dev/sample-photo.js';
import { installOpenApiTools } from '@livegate/testing/product/openapi-tools';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const page = await readFile(join(root, 'docs/how-to/generate-a-client.md'), 'utf8');

/** The named code blocks of docs/how-to/generate-a-client.md, for the gateway of the tests. */
const blocks = new Map(
  [...page.matchAll(/```\w+ (\S+)\n([^]*?)```/g)].map(([, name = '', text = '']) => [
    name,
    text.replaceAll('http://127.0.0.1:8080', inject('url')),
  ]),
);
const generators = ['orval', 'hey-api', 'openapi-typescript', 'swagger-typescript-api'];

/** A typical strict TypeScript project. */
const compilerOptions = {
  strict: true,
  target: 'es2023',
  lib: ['es2023', 'dom', 'dom.iterable'],
  module: 'commonjs',
  moduleResolution: 'bundler',
  types: ['node'],
  rootDir: '.',
  outDir: 'dist',
};

let folder: string;

beforeAll(async () => {
  const tools = await installOpenApiTools();
  folder = await mkdtemp(join(tmpdir(), 'livegate-clients-'));
  await symlink(join(tools, 'node_modules'), join(folder, 'node_modules'));
  await writeSamplePhoto(join(folder, '.data/samples/selfie.jpg'));
  for (const [name, text] of blocks) await writeFile(join(folder, name), text);
}, 300_000);
afterAll(() => rm(folder, { recursive: true }));

async function runTool(name: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await run(join(folder, 'node_modules/.bin', name), args, {
    cwd: folder,
  });
  return stdout + stderr;
}

describe.each(['multipart', 'json'])('the OpenAPI document served with body=%s', (body) => {
  const name = `${body}.json`;

  beforeAll(async () => {
    const response = await fetch(`${inject('url')}/openapi.json?body=${body}`);
    await writeFile(join(folder, name), await response.text());
  });

  it('passes the recommended-strict rules of Redocly CLI without a warning', async () => {
    const output = await runTool('redocly', 'lint', '--extends=recommended-strict', name);
    expect(output).toMatch(/Your API description is valid/);
  });

  it('passes the recommended rules of Spectral without a warning', async () => {
    await writeFile(join(folder, 'spectral.yaml'), 'extends: [[spectral:oas, recommended]]\n');
    const args = ['--ruleset', 'spectral.yaml', '--fail-severity', 'hint', name];
    expect(await runTool('spectral', 'lint', ...args)).toMatch(/No results/);
  });
});

describe('a client generated from the OpenAPI document with the documented command', () => {
  beforeAll(async () => {
    await Promise.all(generators.map(generate));
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    await run(process.execPath, [compiler], { cwd: folder }).catch(showOutput);
  }, 60_000);

  async function generate(name: string): Promise<void> {
    const command = blocks.get(name)!.trim().replace(/^npx /, 'node_modules/.bin/');
    await run('/bin/sh', ['-c', command], { cwd: folder });
  }

  /** tsc prints its errors to stdout. */
  function showOutput({ stdout }: { stdout: string }): never {
    throw new Error(stdout);
  }

  it.each(generators)('compiles, uploads a file and reads the verdict: %s', async (name) => {
    const { stdout } = await run(process.execPath, [`dist/call-${name}.js`], { cwd: folder });
    expect(stdout).toBe('success LOW\n');
  });

  it.each(generators)('reads the error code of a refusal: %s', async (name) => {
    const program = join(folder, `dist/call-${name}.js`);
    const wrong = (await readFile(program, 'utf8')).replace('default-api-key', 'wrong');
    await writeFile(join(folder, `dist/refused-${name}.js`), wrong);
    const { stdout } = await run(process.execPath, [`dist/refused-${name}.js`], { cwd: folder });
    expect(stdout).toMatch(/unauthorized\n$/);
  });
});
