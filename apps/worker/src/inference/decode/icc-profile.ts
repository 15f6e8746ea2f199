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
  const found = places.filter((at) =>
    /^[DB]2[DB][0-3]$/.test(profile.toString('latin1', at, at + 4)),
  );
  if (found.length === 0) return profile;
  const changed = Buffer.from(profile);
  for (const at of found) changed.write('none', at, 'latin1');
  return changed;
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
  header.write(`mntr${space}XYZ `, 12, 'latin1');
  header.write('acsp', 36, 'latin1');
  xyz(D50).copy(header, 68, 8);
  const all: Tag[] = [['wtpt', xyz(D50)], ...tags];
  const table = Buffer.alloc(4 + 12 * all.length);
  table.writeUInt32BE(all.length);
  let at = HEADER_BYTES + table.length;
  for (const [i, [name, data]] of all.entries()) {
    table.write(name, 4 + 12 * i, 'latin1');
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
  return Buffer.concat([Buffer.from('XYZ \0\0\0\0', 'latin1'), ...values.map(fixed)]);
}

function parametric({ g, a = 1, b = 0, c = 0, d = 0 }: Curve): Buffer {
  const head = Buffer.from('para\0\0\0\0\0\x03\0\0', 'latin1');
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
