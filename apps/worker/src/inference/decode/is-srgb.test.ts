import * as icc from '@livegate/testing/images/icc-profiles';
import { describe, expect, test } from 'vitest';
import { isSrgb } from './icc-profile.js';

/** g, a, b, c and d of IEC 61966-2-1. */
const numbers = [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045] as const;
const [g, a, b, c, d] = numbers;
const curve = icc.curveTag(3, ...numbers);
const primaries: Record<string, number[]> = {
  rXYZ: [0.4361, 0.2225, 0.0139],
  gXYZ: [0.3851, 0.7169, 0.0971],
  bXYZ: [0.1431, 0.0606, 0.7141],
};
const xyzNames = Object.keys(primaries);
const curveNames = ['rTRC', 'gTRC', 'bTRC'];
const tags: Record<string, Buffer> = {
  ...Object.fromEntries(xyzNames.map((name) => [name, icc.xyzTag(...primaries[name]!)])),
  ...Object.fromEntries(curveNames.map((name) => [name, curve])),
};

/** An sRGB profile with other tags. */
const srgbWith = (others: Record<string, Buffer> = {}, spaces = 'RGB XYZ ') =>
  icc.iccProfile(Object.entries({ ...tags, ...others }), spaces);
const withCurve = (tag: Buffer) => srgbWith(Object.fromEntries(curveNames.map((n) => [n, tag])));

const toLinear = (value: number) => (value < d ? c * value : (a * value + b) ** g);

/** A table whose curve is that of sRGB, at values that are moved by some levels of 255. */
function table(length: number, levels = 0): number[] {
  return Array.from({ length }, (_, i) => {
    const moved = i / (length - 1) + levels / 255;
    return Math.round(toLinear(Math.min(Math.max(moved, 0), 1)) * 65_535);
  });
}

/** A profile of `count` tags, of which those of sRGB are the last. */
function withFillers(count: number): Buffer {
  const fillers = Array.from({ length: count - 6 }, (): icc.IccTag => ['fill', Buffer.alloc(0)]);
  return icc.iccProfile([...fillers, ...Object.entries(tags)]);
}

/** sRGB, with bytes after its tags that count as the profile's. */
function padded(padding: Buffer): Buffer {
  const profile = Buffer.concat([srgbWith(), padding]);
  profile.writeUInt32BE(profile.length);
  return profile;
}

/** Says that the profile has more tags than its table. */
function counting(count: number, profile: Buffer): Buffer {
  profile.writeUInt32BE(count, 128);
  return profile;
}

describe('isSrgb accepts', () => {
  test.each<[string, Buffer]>([
    ['a curve of type 3', srgbWith()],
    ['a curve of type 4', withCurve(icc.curveTag(4, ...numbers, 0, 0))],
    [
      'a curve of type 4 whose offsets make up for its other numbers',
      withCurve(icc.curveTag(4, g, a, (0.055 - 0.0032) / 1.055, 0.065, d, 0.00035, 0.00025)),
    ],
    ['a table of an entry for five levels', withCurve(icc.tableTag(...table(52)))],
    ['a table of an entry for each level', withCurve(icc.tableTag(...table(256)))],
    [
      'a table that is too bright by less than a level',
      withCurve(icc.tableTag(...table(256, 0.9))),
    ],
    ['a table that is too dark by less than a level', withCurve(icc.tableTag(...table(256, -0.9)))],
    ['other tags', srgbWith({ cprt: Buffer.from('me'), A2B4: Buffer.alloc(0) })],
    ['data that look like a tag', srgbFirst('A2B0........')],
    ['bytes after its end', Buffer.concat([srgbWith(), Buffer.alloc(1)])],
    ['a table of tags without an end', counting(0xffffffff, padded(Buffer.alloc(5)))],
    ['as many tags as Little CMS accepts', withFillers(100)],
  ])('%s', (_name, profile) => {
    expect(isSrgb(profile)).toBe(true);
  });

  test.each([0.0009, -0.0009])('primaries that differ by %d', (difference) => {
    const moved = xyzNames.map((name) => [
      name,
      icc.xyzTag(...primaries[name]!.map((value) => value + difference)),
    ]);
    expect(isSrgb(srgbWith(Object.fromEntries(moved)))).toBe(true);
  });
});

describe('isSrgb refuses', () => {
  test.each<[string, Buffer]>([
    ['no bytes', Buffer.alloc(0)],
    ['a part of a header', srgbWith().subarray(0, 131)],
    ['a profile of gray', srgbWith({}, 'GRAYXYZ ')],
    ['a profile that connects by Lab', srgbWith({}, 'RGB Lab ')],
    ['a profile that is cut off after its tags', padded(Buffer.alloc(2)).subarray(0, -1)],
    ['more tags than Little CMS accepts', withFillers(101)],
    ['an overriding table in the last twelve bytes', withLastEntry('A2B0')],
  ])('%s', (_name, profile) => {
    expect(isSrgb(profile)).toBe(false);
  });

  test.each(['A2B0', 'A2B2', 'B2A1', 'D2B0', 'B2D3'])('the overriding tag %s', (name) => {
    expect(isSrgb(srgbWith({ [name]: Buffer.alloc(0) }))).toBe(false);
  });

  test.each(Object.keys(tags))('a profile without %s, or with a part of it', (name) => {
    const without = Object.entries(tags).filter(([other]) => other !== name);
    expect(isSrgb(icc.iccProfile(without))).toBe(false);
    for (let length = 0; length < tags[name]!.length; length++) {
      expect(isSrgb(srgbWith({ [name]: tags[name]!.subarray(0, length) }))).toBe(false);
    }
  });

  test.each(xyzNames)('a difference of 0.0011 on one axis of %s', (name) => {
    for (const axis of [0, 1, 2]) {
      for (const difference of [0.0011, -0.0011]) {
        const moved = primaries[name]!.map((value, i) => (i === axis ? value + difference : value));
        expect(isSrgb(srgbWith({ [name]: icc.xyzTag(...moved) }))).toBe(false);
      }
    }
  });

  test.each(curveNames)('another curve in %s alone', (name) => {
    expect(isSrgb(srgbWith({ [name]: icc.curveTag(3, 2.2, 1, 0, 0, 0) }))).toBe(false);
  });
});

describe('isSrgb refuses as a curve', () => {
  const whole = icc.tableTag(...table(52));
  const type4 = icc.curveTag(4, ...numbers, 0, 0);
  const retyped = (tag: Buffer, type: string) =>
    Buffer.concat([Buffer.from(type), tag.subarray(4)]);

  test.each<[string, Buffer]>([
    ['an unknown type with the numbers of a curve', retyped(curve, 'parb')],
    ['an unknown type with a table', retyped(whole, 'curb')],
    ...[0, 1, 2, 5].map((type): [string, Buffer] => [
      `numbers of a curve of type ${type}`,
      icc.curveTag(type, ...numbers, 0, 0),
    ]),
    ['type 4 with an offset of the power', icc.curveTag(4, ...numbers, 0.1, 0)],
    ['type 4 with an offset of the line', icc.curveTag(4, ...numbers, 0, 0.1)],
    ['type 4 without its last byte', type4.subarray(0, -1)],
    ['a line from 0 to 1', icc.curveTag(3, 1, 1, 0, 1, 1)],
    ['a table without entries, which is a line', icc.tableTag()],
    ['a table of one entry, which is a power', icc.tableTag(2.2 * 256)],
    ['a table of two entries, which is a line', icc.tableTag(0, 65_535)],
    ['a table without its last byte', whole.subarray(0, -1)],
    ['a table without its number of entries', whole.subarray(0, 11)],
    ['a table that is too bright by more than a level', icc.tableTag(...table(256, 1.1))],
    ['a table that is too dark by more than a level', icc.tableTag(...table(256, -1.1))],
    ['a table with one other entry', icc.tableTag(...table(256).with(128, 0))],
  ])('%s', (_name, tag) => {
    expect(isSrgb(withCurve(tag))).toBe(false);
  });
});

/** sRGB, with a text right after its table of tags. */
function srgbFirst(text: string): Buffer {
  return icc.iccProfile([['cprt', Buffer.from(text)], ...Object.entries(tags)]);
}

/** sRGB that counts too many tags, with an entry of a table in its last bytes. */
function withLastEntry(name: string): Buffer {
  const fill = 12 - ((srgbWith().length - 132) % 12);
  return counting(
    100,
    padded(Buffer.concat([Buffer.alloc(fill), Buffer.from(name.padEnd(12, '\0'))])),
  );
}
