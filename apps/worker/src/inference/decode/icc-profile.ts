/** A transfer curve, ICC parametric type 3: (ax + b)^g for x >= d, cx below. */
export interface Curve {
  g: number;
  a?: number;
  b?: number;
  c?: number;
  d?: number;
}

/** CIE x and y of white, red, green and blue: eight numbers. */
export type Chromaticities = readonly number[];

/** The ICC profile of an RGB space; `undefined` for primaries that define no space. */
export function createRgbProfile(primaries: Chromaticities, curve: Curve): Buffer | undefined {
  const matrix = rgbToXyzD50(primaries);
  if (!matrix.flat().every((value) => Math.abs(value) < MAX_XYZ)) return undefined;
  const columns = ['rXYZ', 'gXYZ', 'bXYZ'].map((name, i): Tag => [name, xyz(column(matrix, i))]);
  const curves = ['rTRC', 'gTRC', 'bTRC'].map((name): Tag => [name, parametric(curve)]);
  return createProfile('RGB ', [...columns, ...curves]);
}

/** Far above any real color: primaries on one line or without luminance give unbounded values. */
const MAX_XYZ = 10;

export function createGrayProfile(curve: Curve): Buffer {
  return createProfile('GRAY', [['kTRC', parametric(curve)]]);
}

/**
 * Whether a decoder would accept the bytes as a profile; `space` is an ICC color space, like
 * `CMYK`.
 */
export function isProfile(profile: Buffer, space = ''): boolean {
  const says = (text: string, at: number) => profile.toString('latin1', at).startsWith(text);
  return profile.length >= TAGS_START && says('acsp', 36) && says(space, 16);
}

/**
 * A copy of the profile whose floating-point pipelines are hidden (their tags are renamed); the
 * profile itself if it has none.
 *
 * Browsers ignore these pipelines. Little CMS prefers them at any cost: one of 400 bytes,
 * compressed in a PNG, takes a core five seconds, and a few KB take minutes.
 */
export function withoutPipelines(profile: Buffer): Buffer {
  const count = profile.length < TAGS_START ? 0 : profile.readUInt32BE(HEADER_BYTES);
  const places = Array.from({ length: Math.min(count, MAX_TAGS) }, (_, i) => TAGS_START + 12 * i);
  const found = places.filter((at) => PIPELINE.test(profile.toString('latin1', at, at + 4)));
  if (found.length === 0) return profile;
  const changed = Buffer.from(profile);
  for (const at of found) changed.write('none', at);
  return changed;
}

const PIPELINE = /^[DB]2[DB][0-3]$/;

/**
 * Whether a profile says what a picture without one is taken for, so that applying it would change
 * no channel by more than a level: the primaries of sRGB, its curve, and no overriding tables.
 */
export function isSrgb(profile: Buffer): boolean {
  if (!isProfile(profile, 'RGB XYZ ') || profile.length < profile.readUInt32BE(0)) return false;
  const tags = readTags(profile);
  if ([...tags.keys()].some((name) => OVERRIDING.test(name))) return false;
  const primaries = ['rXYZ', 'gXYZ', 'bXYZ'].every((name, i) => {
    const found = readFixed(tags.get(name), 8, 3);
    return found?.every((value, axis) => Math.abs(value - SRGB_XYZ[i]![axis]!) < 0.001);
  });
  return primaries && ['rTRC', 'gTRC', 'bTRC'].every((name) => isSrgbCurve(tags.get(name)));
}

/** Tables and pipelines, which a decoder prefers to the primaries and the curves. */
const OVERRIDING = /^[ABD]2[ABD][0-3]$/;

/** XYZ of red, green and blue, adapted to D50: IEC 61966-2-1 in ICC's connection space. */
const SRGB_XYZ = [
  [0.4361, 0.2225, 0.0139],
  [0.3851, 0.7169, 0.0971],
  [0.1431, 0.0606, 0.7141],
];

/** The data of each tag, by name. */
function readTags(profile: Buffer): Map<string, Buffer> {
  const count = Math.min(profile.readUInt32BE(HEADER_BYTES), MAX_TAGS);
  const tags = new Map<string, Buffer>();
  for (let at = TAGS_START; at < TAGS_START + 12 * count && at + 12 <= profile.length; at += 12) {
    const start = profile.readUInt32BE(at + 4);
    const data = profile.subarray(start, start + profile.readUInt32BE(at + 8));
    tags.set(profile.toString('latin1', at, at + 4), data);
  }
  return tags;
}

/** ICC's s15Fixed16 numbers; `undefined` if the tag does not have as many. */
function readFixed(tag: Buffer | undefined, from: number, count: number): number[] | undefined {
  if (!tag || tag.length < from + 4 * count) return undefined;
  return Array.from({ length: count }, (_, i) => tag.readInt32BE(from + 4 * i) / 65_536);
}

function isSrgbCurve(tag: Buffer | undefined): boolean {
  const toLinear = tag && readCurve(tag);
  if (!toLinear) return false;
  const levels = Array.from({ length: 256 }, (_, level) => level / 255);
  return levels.every((value) => Math.abs(toSrgb(toLinear(value)) - value) <= 1 / 255);
}

function toSrgb(linear: number): number {
  return linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
}

/** The transfer curve of a tag, if it is a table or one of the two forms that sRGB is written in. */
function readCurve(tag: Buffer): ((value: number) => number) | undefined {
  const type = tag.toString('latin1', 0, 4);
  if (type === 'curv' && tag.length >= 12) return readTable(tag);
  const form = type === 'para' && tag.length >= 12 ? tag.readUInt16BE(8) : undefined;
  if (form !== 3 && form !== 4) return undefined;
  const numbers = readFixed(tag, 12, form === 3 ? 5 : 7);
  if (!numbers) return undefined;
  const [g, a, b, c, d, e = 0, f = 0] = numbers;
  return (value) => (value >= d! ? (a! * value + b!) ** g! + e : c! * value + f);
}

function readTable(tag: Buffer): ((value: number) => number) | undefined {
  const count = tag.readUInt32BE(8);
  // One number is a plain power, none is linear light: read as constants, neither is sRGB.
  if (tag.length < 12 + 2 * count) return undefined;
  const entry = (i: number) => tag.readUInt16BE(12 + 2 * Math.min(i, count - 1)) / 65_535;
  return (value) => {
    const at = value * (count - 1);
    const below = Math.floor(at);
    return entry(below) + (at - below) * (entry(below + 1) - entry(below));
  };
}

const HEADER_BYTES = 128;
/** The tag table follows the header and the number of tags. */
const TAGS_START = HEADER_BYTES + 4;
/** Little CMS refuses a profile with more tags. */
const MAX_TAGS = 100;

type Tag = [name: string, data: Buffer];
type Matrix = number[][];

function createProfile(space: string, tags: Tag[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(0x04200000, 8);
  header.write(`mntr${space}XYZ `, 12);
  header.write('acsp', 36);
  xyz(D50).copy(header, 68, 8);
  const all: Tag[] = [['wtpt', xyz(D50)], ...tags];
  const table = Buffer.alloc(4 + 12 * all.length);
  table.writeUInt32BE(all.length);
  let at = HEADER_BYTES + table.length;
  for (const [i, [name, data]] of all.entries()) {
    table.write(name, 4 + 12 * i);
    table.writeUInt32BE(at, 8 + 12 * i);
    table.writeUInt32BE(data.length, 12 + 12 * i);
    at += data.length;
  }
  header.writeUInt32BE(at);
  return Buffer.concat([header, table, ...all.map(([, data]) => data)]);
}

/** XYZ of the white point of ICC's connection space. */
const D50 = [0.9642, 1, 0.8249];

function xyz(values: number[]): Buffer {
  return Buffer.concat([Buffer.from('XYZ \0\0\0\0'), ...values.map(fixed)]);
}

function parametric({ g, a = 1, b = 0, c = 0, d = 0 }: Curve): Buffer {
  const head = Buffer.from('para\0\0\0\0\0\x03\0\0');
  return Buffer.concat([head, ...[g, a, b, c, d].map(fixed)]);
}

/** ICC's s15Fixed16. */
function fixed(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(Math.round(Math.min(Math.max(value, -32_767), 32_767) * 65_536));
  return bytes;
}

/** Columns are the XYZ of red, green and blue, adapted from their white to D50 by Bradford. */
function rgbToXyzD50(primaries: Chromaticities): Matrix {
  const [white = [], ...colors] = [0, 2, 4, 6].map((i) => toXyz(primaries[i]!, primaries[i + 1]!));
  const unscaled = transpose(colors);
  const strengths = apply(invert(unscaled), white);
  const scaled = unscaled.map((row) => row.map((value, i) => value * strengths[i]!));
  const [from, to] = [apply(bradford, white), apply(bradford, D50)];
  const gains = bradford.map((row, i) => row.map((value) => (value * to[i]!) / from[i]!));
  return multiply(multiply(invert(bradford), gains), scaled);
}

const bradford: Matrix = [
  [0.8951, 0.2664, -0.1614],
  [-0.7502, 1.7135, 0.0367],
  [0.0389, -0.0685, 1.0296],
];

/** XYZ of a chromaticity at luminance 1. */
function toXyz(x: number, y: number): number[] {
  return [x / y, 1, (1 - x - y) / y];
}

function column(matrix: Matrix, i: number): number[] {
  return matrix.map((row) => row[i]!);
}

function transpose(matrix: Matrix): Matrix {
  return matrix.map((_, i) => column(matrix, i));
}

function apply(matrix: Matrix, vector: number[]): number[] {
  return matrix.map((row) => row.reduce((sum, value, i) => sum + value * vector[i]!, 0));
}

function multiply(left: Matrix, right: Matrix): Matrix {
  return transpose(transpose(right).map((vector) => apply(left, vector)));
}

/** By Cramer's rule. Values are not finite for a singular matrix. */
function invert(matrix: Matrix): Matrix {
  const [a, b, c] = transpose(matrix) as [number[], number[], number[]];
  const rows = [cross(b, c), cross(c, a), cross(a, b)];
  const determinant = a.reduce((sum, value, i) => sum + value * rows[0]![i]!, 0);
  return rows.map((row) => row.map((value) => value / determinant));
}

function cross(a: number[], b: number[]): number[] {
  return [0, 1, 2].map((i) => {
    const [j, k] = [(i + 1) % 3, (i + 2) % 3] as const;
    return a[j]! * b[k]! - a[k]! * b[j]!;
  });
}
