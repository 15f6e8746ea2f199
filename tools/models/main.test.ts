import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Catalogue } from '@livegate/worker/models/catalogue';
import { loadModels } from '@livegate/worker/models/load-models';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { faces } from '@livegate/testing/images/photos';
import { copyPreparedModels } from '@livegate/testing/models/prepared-models';
import { tinyClassifier, tinyGraph, encodeGraph } from '@livegate/testing/models/tiny-model';

const run = promisify(execFile);

let folder: string;
let modelsDir: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'livegate-cli-'));
  modelsDir = join(folder, 'models');
  await copyPreparedModels(modelsDir);
  const own = ['own.json', 'active.json', 'silent-face-v2.onnx'];
  for (const file of own) await rm(join(modelsDir, file), { force: true });
});

afterEach(() => rm(folder, { recursive: true }));

/** The output of `npm run models -- …`; rejects with an error whose message has its stderr. */
async function models(...args: string[]): Promise<string> {
  const { LIVEGATE_PROFILE: _, ...rest } = process.env;
  const env = { ...rest, LIVEGATE_MODELS_DIR: modelsDir, LIVEGATE_MODELS_MIRROR: folder };
  const { stdout } = await run(process.execPath, ['tools/dist/models/main.js', ...args], { env });
  return stdout;
}

const longTimeout = { timeout: 60_000 };

test(
  'use makes a profile active, list marks it, and verify checks its files',
  longTimeout,
  async () => {
    expect(await models('use', 'fast')).toContain('{"profile":"fast"}');
    const listed = await models('list');
    expect(listed).toMatch(/fast \(active\) +yes/);
    expect(listed).toMatch(/accurate +no/);
    expect(listed).toContain('training data: The publisher states nothing');
    expect(await models('verify')).toContain('profile fast is complete');
    const trial = '{"profile":"fast","canary":{"profile":"default","share":0.1}}';
    expect(await models('use', 'default', '--canary', '0.1')).toContain(trial);

    await writeFile(join(modelsDir, 'fr-detect.onnx'), 'x');
    await expect(models('verify')).rejects.toThrow(/missing or changed: .*fr-detect\.onnx/);
  },
);

test('a profile whose files the mirror lacks does not become active', longTimeout, async () => {
  const missing = /cannot read .*silent-face-v2\.onnx/;
  await expect(models('use', 'accurate')).rejects.toThrow(missing);
  await expect(readFile(join(modelsDir, 'active.json'))).rejects.toThrow('ENOENT');
  await expect(models('add', 'silent-face-v2')).rejects.toThrow(missing);
});

test(
  'use of another profile than that of the calibration file is refused',
  longTimeout,
  async () => {
    const file = join(folder, 'calibration.json');
    await writeFile(file, JSON.stringify({ profile: 'default' }));
    process.env['LIVEGATE_CALIBRATION_FILE'] = file;
    onTestFinished(() => void delete process.env['LIVEGATE_CALIBRATION_FILE']);
    await expect(models('use', 'fast')).rejects.toThrow(
      'was fitted to the profile default: unset it',
    );
    await expect(readFile(join(modelsDir, 'active.json'))).rejects.toThrow('ENOENT');
  },
);

test('use repairs a rollout file that cannot be read', longTimeout, async () => {
  await writeFile(join(modelsDir, 'active.json'), '{');
  await expect(models('use', 'fast', '--canary', '0.1')).rejects.toThrow('Correct or delete it');
  expect(await models('use', 'fast')).toContain('{"profile":"fast"}');
});

test('add refuses a name that is taken or malformed before its trials', longTimeout, async () => {
  const add = (name: string) => models('add', 'x.onnx', '--images', folder, '--name', name);
  await expect(add('default')).rejects.toThrow('has default already');
  await expect(add('../evil')).rejects.toThrow('may have letters');
});

test('a wrong command, name or file is answered with what is possible', longTimeout, async () => {
  await expect(models('frobnicate')).rejects.toThrow('npm run models -- COMMAND');
  await expect(models('list', '--foo')).rejects.toThrow('npm run models -- COMMAND');
  await expect(models('use', 'best')).rejects.toThrow('the catalogue has: fast, default, accurate');
  await writeFile(join(folder, 'text.onnx'), 'not a model');
  const added = models('add', join(folder, 'text.onnx'), '--images', folder);
  await expect(added).rejects.toThrow('the file is not an ONNX model');
  await expect(models('add', 'x.onnx')).rejects.toThrow('--images DIR');
});

/** Real faces as bona fide, the same with a blue cast as attacks. */
async function writeImages(): Promise<string> {
  const images = join(folder, 'images');
  for (const [i, photo] of (await faces()).entries()) {
    const source = join(images, i % 2 === 0 ? 'one' : 'two');
    await mkdir(join(source, 'bona-fide'), { recursive: true });
    await mkdir(join(source, 'attack', 'blue'), { recursive: true });
    await writeFile(join(source, 'bona-fide', `${i}.jpg`), photo);
    const blue = sharp(photo).linear([0.5, 0.8, 1], [0, 0, 60]).jpeg();
    await writeFile(join(source, 'attack', 'blue', `${i}.jpg`), await blue.toBuffer());
  }
  return images;
}

test(
  'add FILE finds the preprocessing of a model, and its profile loads',
  longTimeout,
  async () => {
    // Logits are the means of the colors, so that more red than blue is live.
    const file = join(folder, 'colors.onnx');
    await writeFile(file, tinyClassifier().published);
    const images = await writeImages();
    const said = await models('add', file, '--images', images, '--licence', 'ours');
    expect(said).toContain('input [batch, 3, 4, 4], opset 9');
    expect(said).toContain('output "output": 3 classes of logits');
    expect(said).toMatch(/channels +\w{3} +\d/);
    expect(said).toContain('"training_data": "not stated"');

    expect(await models('use', 'colors')).toContain('{"profile":"colors"}');
    const loaded = await loadModels(modelsDir, 'colors');
    expect(loaded.classifiers[0]).toMatchObject({ name: 'colors', licence: 'ours' });
    expect(loaded.facts.calibration).toBeUndefined();
  },
);

test('add FILE tries only what is not known', longTimeout, async () => {
  const file = join(folder, 'colors.onnx');
  await writeFile(file, tinyClassifier().published);
  const known = ['--views', '1.2 reflect, 1 zero', '--resize', 'area'];
  const said = await models('add', file, '--images', await writeImages(), ...known, '--dry-run');
  expect(said).toContain('Known: the views 1.2 reflect + 1 zero.');
  expect(said).not.toContain('two views');
  const { models: added, profiles } = JSON.parse(said.slice(said.indexOf('\n{'))) as Catalogue;
  expect(added['colors']).toMatchObject({ resize: 'area' });
  expect(added['colors']!.figures!.command).toContain('--views "1.2 reflect,1 zero" --resize area');
  expect(profiles['colors']!.classifiers[0]!.views).toEqual([
    { scale: 1.2, fill: 'reflect' },
    { scale: 1, fill: 'zero' },
  ]);
});

test(
  'an option that a command does not use, or a wrong value of it, is refused',
  longTimeout,
  async () => {
    const ofFile = 'is an option of "add FILE.onnx" only';
    await expect(models('add', 'accurate', '--views', '2 zero')).rejects.toThrow(
      `--views ${ofFile}`,
    );
    await expect(models('use', 'fast', '--images', folder)).rejects.toThrow(`--images ${ofFile}`);
    await expect(models('--licence', 'ours')).rejects.toThrow(`--licence ${ofFile}`);
    await expect(models('list', '--canary', '0.1')).rejects.toThrow('option of "use PROFILE" only');
    await expect(readFile(join(modelsDir, 'active.json'))).rejects.toThrow('ENOENT');
    const add = (...args: string[]) => models('add', 'x.onnx', '--images', folder, ...args);
    await expect(add('--views', '2')).rejects.toThrow('"2" is not a view');
    await expect(add('--resize', 'bicubic')).rejects.toThrow('give bilinear or area');
    await expect(add('--size', '1.5')).rejects.toThrow('--size "1.5" is not a whole number');
  },
);

test('add FILE --dry-run shows the entry and adds nothing', longTimeout, async () => {
  const file = join(folder, 'colors.onnx');
  await writeFile(file, tinyClassifier().published);
  const images = await writeImages();
  const said = await models('add', file, '--images', images, '--dry-run', '--max-images', '8');
  expect(said).toContain('"source": {');
  expect(said).toContain('trying it on 8 faces');
  await expect(readFile(join(modelsDir, 'own.json'))).rejects.toThrow('ENOENT');
});

test('a model that only works for a single image is refused', longTimeout, async () => {
  const shape = { dims: [2], values: [1, 3] };
  const graph = tinyGraph(
    [
      { type: 'ReduceMean', inputs: ['input'], output: 'colors', axes: [2, 3] },
      { type: 'Cast', inputs: ['shape'], output: 'sizes', to: 7 },
      { type: 'Reshape', inputs: ['colors', 'sizes'], output: 'output' },
    ],
    { shape },
  );
  const file = join(folder, 'single.onnx');
  await writeFile(file, encodeGraph(graph));
  const added = models('add', file, '--images', await writeImages());
  await expect(added).rejects.toThrow('cannot run several images at once');
});
