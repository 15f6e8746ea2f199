import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { plainImageHasher } from '../../domain/image/image-hasher.js';
import { createImageHasher, deriveKey, openImageKeys, parseImageKeys } from './image-keys.js';

const first = '1a'.repeat(32);
const second = '2b'.repeat(32);

async function openFile(text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-keys-'));
  const file = join(folder, 'image-keys');
  await writeFile(file, text);
  const lines: string[] = [];
  const keys = openImageKeys(file, pino({}, { write: (line) => lines.push(line) }));
  onTestFinished(async () => {
    keys.close();
    await rm(folder, { recursive: true });
  });
  return { keys, lines, write: (changed: string) => writeFile(file, changed) };
}

describe('a file of image keys', () => {
  it('has one key a line, and comments', () => {
    const text = `# made on Monday\n2026-11 ${first}\n\n 2026-10\t ${second.toUpperCase()} \n`;
    const keys = parseImageKeys(text).map(({ id, key }) => [id, key.toString('hex')]);
    expect(keys).toEqual([
      ['2026-11', first],
      ['2026-10', second],
    ]);
  });

  it('gives each purpose a key of its own', () => {
    const [key] = parseImageKeys(`a ${first}`);
    expect(deriveKey(key, 'one')).toHaveLength(32);
    expect(deriveKey(key, 'one')).toEqual(deriveKey(key, 'one'));
    expect(deriveKey(key, 'one')).not.toEqual(deriveKey(key, 'two'));
  });

  it.each([
    ['', /at least one line/],
    [`a ${first}\na ${second}`, /same id/],
    [`# x\na ${first}0`, /^line 2: expected an id/],
    ['a b', /^line 1: expected an id/],
    [first, /^line 1: expected an id/],
    [`${'a'.repeat(33)} ${first}`, /^line 1: expected an id/],
  ])('refuses %j without showing a key', (text, reason) => {
    const parse = () => parseImageKeys(text);
    expect(parse).toThrow(reason);
    expect(parse).not.toThrow(new RegExp(first.slice(0, 16)));
  });

  it('is followed without a restart, and an invalid change is ignored', async () => {
    const { keys, lines, write } = await openFile(`one ${first}\n`);
    await write(`two ${second}\none ${first}\n`);
    await expect.poll(() => keys.current().id).toBe('two');
    expect(keys.find('one')?.key.toString('hex')).toBe(first);
    await write('three\n');
    await expect.poll(() => lines.join('')).toContain('not reloaded');
    expect(keys.current().id).toBe('two');
    expect(JSON.parse(lines[0]!)).toMatchObject({
      msg: 'image keys reloaded',
      file: expect.stringMatching(/image-keys$/),
      keys: ['two', 'one'],
    });
    expect(lines.join('')).not.toMatch(new RegExp(`${first}|${second}`));
  });
});

describe('the hash of an image', () => {
  const image = Uint8Array.of(1, 2, 3);

  it('is not the plain hash, and is recognized after a rotation', async () => {
    const { keys, write } = await openFile(`one ${first}\n`);
    const hasher = createImageHasher(keys);
    const hash = hasher.hash(image);
    expect(hash).not.toContain(plainImageHasher.hash(image));
    await write(`two ${second}\none ${first}\n`);
    await expect.poll(() => keys.current().id).toBe('two');
    expect(hasher.hash(image)).not.toBe(hash);
    expect(hasher.matches(image, hash)).toBe(true);
    expect(hasher.matches(Uint8Array.of(4), hash)).toBe(false);
  });

  it('that was made by a gateway without keys is recognized, too', async () => {
    const { keys } = await openFile(`one ${first}\n`);
    const plain = createImageHasher(undefined).hash(image);
    expect(createImageHasher(keys).matches(image, plain)).toBe(true);
    expect(createImageHasher(keys).matches(Uint8Array.of(4), plain)).toBe(false);
  });

  it('that was made with a removed key matches no image', async () => {
    const { keys } = await openFile(`one ${first}\n`);
    expect(createImageHasher(keys).matches(image, `gone:${'0'.repeat(64)}`)).toBe(false);
    expect(createImageHasher(keys).matches(image, 'one:0')).toBe(false);
  });
});
