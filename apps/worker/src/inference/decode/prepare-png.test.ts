import { deflateSync } from 'node:zlib';
import { iccProfile } from '@livegate/testing/images/icc-profiles';
import * as png from '@livegate/testing/images/png-chunks';
import { describe, expect, test } from 'vitest';
import { createGrayProfile, createRgbProfile, type Curve } from './icc-profile.js';
import { type ColorChunks, profileOf, stripPng } from './prepare-png.js';

const D65 = [0.3127, 0.329];
const srgb = [...D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06];
const p3 = [...D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06];
const srgbCurve = { g: 2.4, a: 1 / 1.055, b: 0.055 / 1.055, c: 1 / 12.92, d: 0.04045 };

const hundredThousandths = (values: number[]) =>
  png.uint32s(...values.map((value) => Math.round(value * 100_000)));
const gama = (exponent: number) => hundredThousandths([exponent]);
const chrm = hundredThousandths(p3);
const linear = { g: 1 };

describe('profileOf makes the profile', () => {
  test.each<[string, ColorChunks, number[], Curve]>([
    ['of linear light, from gAMA', { gAMA: gama(1) }, srgb, linear],
    ['of 1.8, from gAMA', { gAMA: gama(0.55556) }, srgb, { g: 1 / 0.55556 }],
    ['just below 5 % of 2.2', { gAMA: gama(0.43181) }, srgb, { g: 1 / 0.43181 }],
    ['just above 5 % of 2.2', { gAMA: gama(0.47728) }, srgb, { g: 1 / 0.47728 }],
    ['of 2.2 with primaries', { gAMA: gama(0.45455), cHRM: chrm }, p3, { g: 1 / 0.45455 }],
    ['of gAMA with a short cHRM', { gAMA: gama(1), cHRM: chrm.subarray(1) }, srgb, linear],
    ['of gAMA with a long cHRM', { gAMA: gama(1), cHRM: pad(chrm) }, srgb, linear],
    ['of gAMA with no cHRM data', { gAMA: gama(1), cHRM: Buffer.alloc(0) }, srgb, linear],
    ['of cICP, both codes apart', { cICP: Buffer.from([12, 8, 0, 1]) }, p3, linear],
    ['of cICP before all others', { ...everything(), cICP: p3Code() }, p3, srgbCurve],
  ])('%s', (_name, chunks, primaries, curve) => {
    expect(profileOf(chunks, true)).toEqual(createRgbProfile(primaries, curve));
    expect(profileOf(chunks, false)).toEqual(createGrayProfile(curve));
  });

  test.each<[string, number[]]>([
    ['of a narrow range', [12, 13, 0, 0]],
    ['of YCbCr', [12, 13, 1, 1]],
    ['of unknown primaries', [2, 8, 0, 1]],
    ['of an unknown curve', [12, 2, 0, 1]],
    ['of three bytes', [12, 13, 0]],
    ['of five bytes', [12, 13, 0, 1, 0]],
    ['of no bytes', []],
  ])('without a cICP %s', (_name, codes) => {
    const chunks = { cICP: Buffer.from(codes), gAMA: gama(1) };
    expect(profileOf(chunks, true)).toEqual(createRgbProfile(srgb, linear));
    expect(profileOf({ cICP: Buffer.from(codes) }, true)).toBeUndefined();
  });
});

describe('profileOf makes no profile', () => {
  test.each<[string, ColorChunks]>([
    ['without chunks', {}],
    ['of sRGB before gAMA', { sRGB: Buffer.from([0]), gAMA: gama(1), cHRM: chrm }],
    ['of cHRM alone', { cHRM: chrm }],
    ['of gAMA within 5 % of 2.2, from below', { gAMA: gama(0.43182) }],
    ['of gAMA within 5 % of 2.2, from above', { gAMA: gama(0.47727) }],
    ['of gAMA of 0', { gAMA: gama(0) }],
    ['of gAMA of 0 with primaries', { gAMA: gama(0), cHRM: chrm }],
    ['of three bytes of gAMA', { gAMA: gama(1).subarray(1) }],
    ['of five bytes of gAMA', { gAMA: pad(gama(1)) }],
  ])('%s', (_name, chunks) => {
    expect(profileOf(chunks, true)).toBeUndefined();
    expect(profileOf(chunks, false)).toBeUndefined();
  });

  test('of primaries that define no space, unless it is gray', () => {
    const chunks = { gAMA: gama(1), cHRM: Buffer.alloc(32) };
    expect(profileOf(chunks, true)).toBeUndefined();
    expect(profileOf(chunks, false)).toEqual(createGrayProfile(linear));
  });
});

describe('profileOf reads an iCCP chunk', () => {
  const profile = iccProfile([['wtpt', Buffer.from('data')]]);
  /** Zeros compress well. */
  const sized = (length: number) => Buffer.concat([profile], length);

  test('before sRGB and gAMA', () => {
    expect(profileOf(everything(profile), true)).toEqual(profile);
    expect(profileOf(everything(profile), false)).toEqual(profile);
  });

  test('with a name of one letter', () => {
    expect(profileOf({ iCCP: named(profile, 'n') }, true)).toEqual(profile);
  });

  test('and hides its pipelines', () => {
    const slow = iccProfile([['D2B0', Buffer.from('data')]]);
    const harmless = iccProfile([['none', Buffer.from('data')]]);
    expect(profileOf({ iCCP: named(slow) }, true)).toEqual(harmless);
  });

  test('of at most 4 MB', () => {
    expect(profileOf({ iCCP: named(sized(4_000_000)) }, true)).toHaveLength(4_000_000);
    expect(profileOf({ iCCP: named(sized(4_000_001)) }, true)).toBeUndefined();
  });

  test.each<[string, Buffer]>([
    ['that is empty', Buffer.alloc(0)],
    ['without data', Buffer.from('name\0\0')],
    ['without a name', named(profile, '')],
    ['of another compression than deflate', named(profile).fill(1, 5, 6)],
    ['of other data', Buffer.from('name\0\0other')],
    ['that is cut off', named(profile).subarray(0, -10)],
    ['of something that is not a profile', named(Buffer.alloc(200))],
  ])('but not one %s', (_name, iCCP) => {
    expect(profileOf({ iCCP }, true)).toBeUndefined();
    const others = { iCCP, gAMA: gama(1) };
    expect(profileOf(others, true)).toEqual(createRgbProfile(srgb, linear));
  });

  test('but not one whose name has no end', () => {
    // Bytes that hardly repeat, so that their compressed form has no zero, which would end the name.
    const bytes = Buffer.from(
      Array.from({ length: 132 }, (_, i) => 33 + ((7 * i * i + 3 * i) % 90)),
    );
    bytes.write('acsp', 36);
    const iCCP = Buffer.concat([Buffer.from('n'), deflateSync(bytes)]);
    expect(iCCP.includes(0)).toBe(false);
    expect(profileOf({ iCCP: named(bytes) }, true)).toEqual(bytes);
    expect(profileOf({ iCCP }, true)).toBeUndefined();
  });
});

describe('stripPng', () => {
  const gAMA: png.PngChunk = ['gAMA', gama(1)];
  const eXIf: png.PngChunk = ['eXIf', Buffer.from('turned')];
  const palette: png.PngChunk[] = [
    ['PLTE', Buffer.from([1, 2, 3])],
    ['tRNS', Buffer.from([4])],
  ];
  const file = (before: png.PngChunk[], after: png.PngChunk[] = []) =>
    png.flatPng([1, 2, 3], { before, after });
  /** The chunk that stripPng writes for a profile. */
  const written = (profile: Buffer): png.PngChunk => ['iCCP', named(profile, 'color')];
  const ofLinear = written(createRgbProfile(srgb, linear)!);
  const HEADER_END = 33;

  test.each<[string, Buffer, Buffer]>([
    [
      'keeps palette, transparency and orientation',
      file([...palette, eXIf]),
      file([...palette, eXIf]),
    ],
    ['replaces gAMA by a profile', file([gAMA, eXIf]), file([ofLinear, eXIf])],
    ['puts the profile first', file([...palette, gAMA]), file([ofLinear, ...palette])],
    ['replaces all color chunks by one', file([gAMA, ...coded()]), file([written(p3Profile())])],
    ['drops sRGB', file([['sRGB', Buffer.from([0])]]), file([])],
    ['reads the first of two', file([gAMA, ['gAMA', gama(0.55556)]]), file([ofLinear])],
    ['ignores a color after the pixels', file([], [gAMA]), file([])],
    ['drops an orientation after the pixels', file([eXIf], [eXIf]), file([eXIf])],
    ['keeps a palette after the pixels', file([], palette), file([], palette)],
    ['drops what follows the picture', Buffer.concat([file([]), Buffer.alloc(100)]), file([])],
    ['drops a part of a chunk', Buffer.concat([file([]), Buffer.alloc(11, 'I')]), file([])],
    ['keeps a truncated chunk truncated', file([]).subarray(0, -15), file([]).subarray(0, -15)],
  ])('%s', (_name, from, to) => {
    expect(stripPng(from, true)).toEqual(to);
  });

  test.each(['zTXt', 'iTXt', 'tEXt', 'pHYs', 'vpAg'])('drops %s', (type) => {
    expect(stripPng(file([[type, Buffer.alloc(99)], eXIf]), true)).toEqual(file([eXIf]));
  });

  test('writes a profile of gray for a picture without color', () => {
    expect(stripPng(file([gAMA]), false)).toEqual(file([written(createGrayProfile(linear))]));
  });

  test('ignores a color chunk with a broken checksum, not the next one', () => {
    const broken = file([['gAMA', gama(0.55556)], gAMA]);
    broken[HEADER_END + 12 + 3]! ^= 1;
    expect(stripPng(broken, true)).toEqual(file([ofLinear]));
  });

  test('reads a color chunk at the end of the file, unless it is cut off', () => {
    const ended = file([gAMA]).subarray(0, HEADER_END + 12 + 4);
    const colored = file([ofLinear]).subarray(0, HEADER_END + 12 + ofLinear[1].length);
    expect(stripPng(ended, true)).toEqual(colored);
    expect(stripPng(ended.subarray(0, -1), true)).toEqual(file([]).subarray(0, HEADER_END));
  });

  test('reads a view into a larger buffer', () => {
    const larger = new Uint8Array([0, 0, 0, ...file([gAMA]), 0]);
    expect(stripPng(larger.subarray(3, -1), true)).toEqual(file([ofLinear]));
  });
});

function pad(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc(1)]);
}

/** The data of an iCCP chunk. */
function named(profile: Buffer, name = 'name'): Buffer {
  return Buffer.concat([Buffer.from(`${name}\0\0`), deflateSync(profile)]);
}

/** All chunks but cICP. */
function everything(profile = iccProfile([])): ColorChunks {
  return { iCCP: named(profile), sRGB: Buffer.from([0]), gAMA: gama(1), cHRM: chrm };
}

function p3Code(): Buffer {
  return Buffer.from([12, 13, 0, 1]);
}

function p3Profile(): Buffer {
  return createRgbProfile(p3, srgbCurve)!;
}

function coded(): png.PngChunk[] {
  return [['cICP', p3Code()]];
}
