import { assert, nat, property, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createImageCipher } from './image-cipher.js';
import { type ImageKeys, parseImageKeys } from './image-keys.js';

const first = '11'.repeat(32);
const second = '22'.repeat(32);
const image = Buffer.from('ffd8ffe0 0102030405060708090a0b0c0d0e0f'.replace(' ', ''), 'hex');

function keysOf(text: string): ImageKeys {
  const keys = parseImageKeys(text);
  return { current: () => keys[0], find: (id) => keys.find((known) => known.id === id) };
}

const cipher = createImageCipher({ keys: keysOf(`one ${first}`) });
const damaged = expect.objectContaining({ code: 'internal_error' });

function opened(value: Buffer, { id = 'check', by = cipher } = {}): unknown {
  try {
    return by.open(id, value);
  } catch (error) {
    return error;
  }
}

describe('an encrypted image', () => {
  it('opens to the same bytes, and is another value each time', () => {
    const values = [cipher.seal('check', image), cipher.seal('check', image)];
    for (const value of values) expect(opened(value)).toEqual(image);
    expect(values[0]!.equals(values[1]!)).toBe(false);
    expect(values[0]!.includes(image.subarray(0, 8))).toBe(false);
  });

  it('never opens when any bit of it is changed, and fails as a fault of ours', () => {
    const value = cipher.seal('check', image);
    for (let bit = 0; bit < value.length * 8; bit += 1) {
      const changed = Buffer.from(value);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const result = opened(changed, { by: strict });
      // A changed key id reads as a missing key.
      expect(result, `bit ${bit}`).toBeInstanceOf(Error);
      expect(['internal_error', 'unavailable']).toContain((result as { code: string }).code);
    }
  });

  const strict = createImageCipher({ keys: keysOf(`one ${first}`), requireEncrypted: true });

  it('fails when it is cut, extended or replaced by other bytes', () => {
    const value = cipher.seal('check', image);
    const neverOpens = property(uint8Array({ maxLength: 300 }), nat({ max: 120 }), (bytes, end) => {
      const others = [
        value.subarray(0, Math.min(end, value.length - 1)),
        Buffer.concat([value, Buffer.from(bytes), Buffer.of(0)]),
        Buffer.concat([value.subarray(0, end % value.length), Buffer.from(bytes)]),
        Buffer.from(bytes),
      ];
      const changed = others.filter((other) => !other.equals(value));
      return changed.every((other) => opened(other, { by: strict }) instanceof Error);
    });
    expect(() => assert(neverOpens)).not.toThrow();
  });

  it('fails for a check other than its own', () => {
    expect(opened(cipher.seal('check', image), { id: 'other' })).toEqual(damaged);
  });

  it('fails with another key of the same id', () => {
    const by = createImageCipher({ keys: keysOf(`one ${second}`) });
    expect(opened(cipher.seal('check', image), { by })).toEqual(damaged);
  });

  it.each([
    ['another key', createImageCipher({ keys: keysOf(`two ${second}`) })],
    ['no keys', createImageCipher({})],
  ])('waits for its key at a worker with %s', (_name, by) => {
    const result = opened(cipher.seal('check', image), { by });
    expect(result).toMatchObject({ code: 'unavailable', message: /key "one", which is missing/ });
  });
});

describe('rotated keys', () => {
  it('encrypt with the first line and decrypt with every line', () => {
    const rotated = createImageCipher({ keys: keysOf(`two ${second}\none ${first}\n`) });
    const [old, fresh] = [cipher.seal('check', image), rotated.seal('check', image)];
    expect(opened(old, { by: rotated })).toEqual(image);
    expect(opened(fresh, { by: rotated })).toEqual(image);
    expect(fresh.includes('two')).toBe(true);
  });
});

describe('a plain image', () => {
  it('opens during a rolling update, and fails once encrypted images are required', () => {
    const plain = createImageCipher({}).seal('check', image);
    expect(plain).toEqual(image);
    expect(opened(plain)).toEqual(image);
    const by = createImageCipher({ keys: keysOf(`one ${first}`), requireEncrypted: true });
    expect(opened(plain, { by })).toEqual(damaged);
  });
});
