import { curveTag, iccProfile, type IccTag, xyzTag } from '@livegate/testing/images/icc-profiles';
import { describe, expect, test } from 'vitest';
import { createGrayProfile, createRgbProfile, isProfile, withoutPipelines } from './icc-profile.js';

const D65 = [0.3127, 0.329];
const D50 = [0.9642, 1, 0.8249];
const srgb = [...D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06];

describe('createRgbProfile', () => {
  const curve = { g: 2, a: 0.5, b: 0.25, c: 0.125, d: 0.0625 };
  const profile = createRgbProfile(srgb, curve)!;

  test('writes the header of a screen’s profile of ICC 4.2', () => {
    const header = Buffer.alloc(128);
    header.writeUInt32BE(profile.length);
    header.set([4, 0x20], 8);
    header.write('mntrRGB XYZ ', 12);
    header.write('acsp', 36);
    xyzTag(...D50).copy(header, 68, 8);
    expect(profile.subarray(0, 128)).toEqual(header);
  });

  test('writes the tags one after another to the end', () => {
    const tags = tagsOf(profile);
    expect(tags.map(({ name, size }) => [name, size])).toEqual([
      ['wtpt', 20],
      ...['rXYZ', 'gXYZ', 'bXYZ'].map((name) => [name, 20]),
      ...['rTRC', 'gTRC', 'bTRC'].map((name) => [name, 32]),
    ]);
    let at = 132 + 12 * tags.length;
    for (const { start, size } of tags) {
      expect(start).toBe(at);
      at += size;
    }
    expect(at).toBe(profile.length);
  });

  test('writes the numbers of the curve for each channel', () => {
    const curves = tagsOf(profile).slice(4);
    const written = curveTag(3, 2, 0.5, 0.25, 0.125, 0.0625);
    expect(curves.map(({ data }) => data)).toEqual([written, written, written]);
  });

  test('writes a plain power as a curve with a = 1 and nothing added', () => {
    const gamma = createRgbProfile(srgb, { g: 2.2 })!;
    expect(tagsOf(gamma)[4]!.data).toEqual(curveTag(3, 2.2, 1, 0, 0, 0));
  });

  test('adapts the primaries of sRGB to D50 by Bradford', () => {
    const [white, ...colors] = tagsOf(profile).slice(0, 4);
    expect(white!.data).toEqual(xyzTag(...D50));
    // By Lindbloom, whose white points have a digit more.
    const known = [
      [0.43607, 0.2225, 0.01393],
      [0.38506, 0.71688, 0.0971],
      [0.14308, 0.06062, 0.71417],
    ];
    for (const [i, { data }] of colors.entries()) expectXyz(data, known[i]!);
  });

  test.each([
    ['D65', srgb],
    ['C', [0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08]],
    ['the cinema', [0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06]],
  ])('maps the white of %s to D50', (_name, primaries) => {
    const colors = tagsOf(createRgbProfile(primaries, curve)!).slice(1, 4);
    const sum = [0, 1, 2].map((axis) =>
      colors.reduce((total, { data }) => total + data.readInt32BE(8 + 4 * axis) / 65_536, 0),
    );
    for (const [axis, value] of sum.entries()) expect(value).toBeCloseTo(D50[axis]!, 3);
  });

  test.each([
    ['on one line', [...D65, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3]],
    ['almost on one line, with Z still small', [...D65, 0.64, 0.33, 0.3, 0.6, 0.4, 0.51]],
    ['of a color without luminance', [...D65, 0.64, 0, 0.3, 0.6, 0.15, 0.06]],
    ['of a white without luminance', [0.3, 0, ...srgb.slice(2)]],
  ])('makes no profile for primaries %s', (_name, primaries) => {
    expect(createRgbProfile(primaries, curve)).toBeUndefined();
  });
});

describe('createGrayProfile', () => {
  test('writes a white and one curve', () => {
    const profile = createGrayProfile({ g: 2.2, a: 0.5, d: -1 });
    const expected = iccProfile(
      [
        ['wtpt', xyzTag(...D50)],
        ['kTRC', curveTag(3, 2.2, 0.5, 0, 0, -1)],
      ],
      'GRAYXYZ ',
    );
    expect(profile.subarray(128)).toEqual(expected.subarray(128));
    expect(profile.toString('latin1', 12, 24)).toBe('mntrGRAYXYZ ');
    expect(profile.readUInt32BE(0)).toBe(profile.length);
  });

  test('limits numbers to those that ICC can write', () => {
    const [, curve] = tagsOf(createGrayProfile({ g: 1e6, a: -1e6, b: Infinity }));
    expect(curve!.data).toEqual(curveTag(3, 32_767, -32_767, 32_767, 0, 0));
  });
});

describe('isProfile', () => {
  const smallest = iccProfile([], 'CMYKLab ');

  test('accepts the smallest profile, of any space', () => {
    expect(smallest).toHaveLength(132);
    expect(isProfile(smallest)).toBe(true);
  });

  test('accepts the space that is asked for, and no other', () => {
    expect(isProfile(smallest, 'CMYK')).toBe(true);
    expect(isProfile(smallest, 'CMYKLab ')).toBe(true);
    expect(isProfile(smallest, 'Lab ')).toBe(false);
    expect(isProfile(smallest, 'RGB ')).toBe(false);
  });

  test.each([
    ['no bytes', Buffer.alloc(0)],
    ['a profile without its number of tags', smallest.subarray(0, 131)],
    ['a profile without its mark', Buffer.from(smallest).fill(0, 36, 40)],
    ['a mark at another place', Buffer.concat([Buffer.alloc(1), smallest])],
  ])('refuses %s', (_name, bytes) => {
    expect(isProfile(bytes)).toBe(false);
    expect(isProfile(bytes, 'CMYK')).toBe(false);
  });
});

describe('withoutPipelines', () => {
  const data = Buffer.alloc(12);
  const named = (...names: string[]) => iccProfile(names.map((name): IccTag => [name, data]));

  test.each(['D2B0', 'D2B1', 'D2B2', 'D2B3', 'B2D0', 'B2D1', 'B2D2', 'B2D3'])(
    'hides %s in a copy',
    (name) => {
      const profile = named('wtpt', name, 'rXYZ');
      expect(withoutPipelines(profile)).toEqual(named('wtpt', 'none', 'rXYZ'));
      expect(profile).toEqual(named('wtpt', name, 'rXYZ'));
    },
  );

  test('hides several, from the first to the last tag', () => {
    expect(withoutPipelines(named('D2B0', 'wtpt', 'D2B0', 'B2D1'))).toEqual(
      named('none', 'wtpt', 'none', 'none'),
    );
  });

  test.each<[string, Buffer]>([
    ['other tags', named('A2B0', 'B2A0', 'D2B4', 'C2B0', 'D3B0', 'd2b0')],
    ['such names in the data', iccProfile([['desc', Buffer.from('D2B0........')]])],
    ['no tags', named()],
    ['a part of a header', named('D2B0').subarray(0, 131)],
    ['no bytes', Buffer.alloc(0)],
  ])('returns %s as they are', (_name, profile) => {
    expect(withoutPipelines(profile)).toBe(profile);
  });

  test('hides what is left of a table that is cut off', () => {
    const cut = named('wtpt', 'D2B0', 'D2B1').subarray(0, 132 + 12 + 4);
    const hidden = named('wtpt', 'none', 'D2B1').subarray(0, 132 + 12 + 4);
    expect(withoutPipelines(cut)).toEqual(hidden);
  });

  test('reads as many tags as Little CMS accepts', () => {
    const names = (name: string) => Array.from({ length: 100 }, () => name);
    expect(withoutPipelines(named(...names('D2B0'), 'D2B1'))).toEqual(
      named(...names('none'), 'D2B1'),
    );
  });
});

interface WrittenTag {
  name: string;
  start: number;
  size: number;
  data: Buffer;
}

function tagsOf(profile: Buffer): WrittenTag[] {
  return Array.from({ length: profile.readUInt32BE(128) }, (_, i) => {
    const at = 132 + 12 * i;
    const [start, size] = [profile.readUInt32BE(at + 4), profile.readUInt32BE(at + 8)];
    const name = profile.toString('latin1', at, at + 4);
    return { name, start, size, data: profile.subarray(start, start + size) };
  });
}

function expectXyz(tag: Buffer, known: number[]): void {
  expect(tag.subarray(0, 8)).toEqual(Buffer.from('XYZ \0\0\0\0'));
  for (const [axis, value] of known.entries()) {
    expect(tag.readInt32BE(8 + 4 * axis) / 65_536).toBeCloseTo(value, 3);
  }
}
