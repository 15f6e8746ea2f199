import { walkJpeg } from '@livegate/core/domain';
import { uint32s } from '@livegate/testing/images/odd-images';
import * as fc from 'fast-check';
import { sometimes } from './requests.js';

/** One marker segment and the compressed data after it. */
interface Segment {
  code: number;
  data: Buffer;
  /** Declared length, if it is not the true one. */
  length?: number;
  scan: Buffer;
}

type Mutation = (segments: Segment[]) => Segment[];

/** Mutates a JPEG as a list of segments, so that most results get past the first bytes of a decoder. */
export function mutatedJpegs(bases: Buffer[]): fc.Arbitrary<Buffer> {
  return fc
    .record({
      base: fc.constantFrom(...bases),
      mutations: fc.array(mutations, { minLength: 1, maxLength: 4 }),
      end: fc.constantFrom(...ends),
      cut: sometimes(fc.nat(2000)),
    })
    .map(({ base, mutations: chosen, end, cut }) => {
      const mutated = chosen.reduce((segments, mutate) => mutate(segments), parse(base));
      const bytes = Buffer.concat([START, ...mutated.map(encode), end]);
      return cut === null ? bytes : bytes.subarray(0, bytes.length - Math.min(cut, bytes.length));
    });
}

const START = Buffer.from('ffd8', 'hex');
const END = Buffer.from('ffd9', 'hex');
/** What may follow the picture: nothing, a second format (polyglots), padding. */
const ends = [
  END,
  END,
  END,
  Buffer.alloc(0),
  Buffer.concat([END, Buffer.from('PK\x03\x04\x14\0\0\0\0\0', 'latin1'), Buffer.alloc(100)]),
  Buffer.concat([END, Buffer.from('<html><script>alert(1)</script>')]),
  Buffer.concat([END, Buffer.from('89504e470d0a1a0a', 'hex')]),
  Buffer.concat([END, END, START, END]),
  Buffer.alloc(5000, 0xff),
];

function parse(jpeg: Buffer): Segment[] {
  const segments = [...walkJpeg(jpeg)].filter(({ code }) => code !== 0xd9);
  return segments.map(({ code, dataStart, end }, i) => {
    const next = segments[i + 1]?.start ?? jpeg.length - 2;
    const scan = jpeg.subarray(end, next);
    return { code, data: Buffer.from(jpeg.subarray(dataStart, end)), scan: Buffer.from(scan) };
  });
}

function encode({ code, data, length = data.length + 2, scan }: Segment): Buffer {
  return Buffer.concat([Buffer.from([0xff, code, (length >> 8) & 255, length & 255]), data, scan]);
}

const index = fc.nat(1000);
const byte = fc.constantFrom(0, 1, 2, 4, 0x11, 0x22, 0x44, 0x7f, 0x80, 0xd8, 0xfe, 0xff);
const sizes = fc.constantFrom(0, 1, 7, 8, 9, 100, 2600, 7071, 19_999, 20_000, 20_001, 65_535);

/** Changes the segment `at`, counted modulo their number, of the kinds `codes` or of any kind. */
function change(at: number, edit: (segment: Segment) => Segment, codes?: number[]): Mutation {
  return (segments) => {
    const found = segments.filter(({ code }) => codes?.includes(code) ?? true);
    const chosen = found[at % Math.max(found.length, 1)];
    return segments.map((each) => (each === chosen ? edit(each) : each));
  };
}

function setByte(bytes: Buffer, at: number, value: number): Buffer {
  if (bytes.length === 0) return bytes;
  const copy = Buffer.from(bytes);
  copy[at % bytes.length] = value;
  return copy;
}

const FRAMES = [0xc0, 0xc1, 0xc2];
const SCAN = 0xda;

/** Bytes of the frame: bits, height, width, components. */
const frameEdits = fc
  .record({ height: sizes, width: sizes, bits: fc.constantFrom(8, 8, 8, 12, 16, 0) })
  .map(({ height, width, bits }) =>
    change(
      0,
      ({ data, ...rest }) => {
        const copy = Buffer.from(data);
        const fields = [bits, height >> 8, height & 255, width >> 8, width & 255];
        copy.set(fields.slice(0, copy.length));
        return { ...rest, data: copy };
      },
      FRAMES,
    ),
  );

const scanNoise = fc
  .record({ at: fc.nat(100_000), value: fc.nat(255), i: index })
  .map(({ at, value, i }) =>
    change(i, (segment) => ({ ...segment, scan: setByte(segment.scan, at, value) }), [SCAN]),
  );

const insertable: [code: number, data: Buffer][] = [
  [0xe1, exif([[0x0112, 3, 1, 6 << 16]])],
  [0xe1, exif([[0x0112, 3, 1, 9 << 16]])],
  [0xe1, exif([[0x0112, 4, 0xffffffff, 8]])],
  // The next directory is the first one again; so is the sub-directory.
  [0xe1, exif([[0x8769, 4, 1, 8]], 8)],
  [0xe1, exif(Array.from({ length: 500 }, () => [0x927c, 7, 0x7fffffff, 0xfffffff0]))],
  [0xe1, Buffer.from('Exif\0\0MM\0*\xff\xff\xff\xff', 'latin1')],
  [0xe1, Buffer.from('http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><!ENTITY a "&a;&a;">', 'latin1')],
  [0xe2, Buffer.from('ICC_PROFILE\0\x01\x01', 'latin1')],
  [0xe2, icc(0x0fffffff)],
  [0xe2, icc(0)],
  [0xe2, Buffer.concat([icc(5000), Buffer.alloc(60_000, 'desc')])],
  [0xe2, Buffer.from('MPF\0MM\0*\0\0\0\x08\0\x01', 'latin1')],
  [0xee, Buffer.from('Adobe\0\x64\0\0\0\0\x02', 'latin1')],
  [0xee, Buffer.from('Adobe\0\x64\0\0\0\0\xff', 'latin1')],
  [0xfe, Buffer.alloc(65_533, 'a')],
  [0xdd, Buffer.from([0, 1])],
  [0xdd, Buffer.from([0xff, 0xff])],
  [0xdc, Buffer.from([0x40, 0])],
  [0xc4, Buffer.from([0x10, ...Array<number>(16).fill(255)])],
  [0xc4, Buffer.from([0x00, 1, ...Array<number>(15).fill(0), 0])],
  [0xdb, Buffer.from([0, ...Array<number>(64).fill(0)])],
  [0xdb, Buffer.from([0x10, ...Array<number>(128).fill(255)])],
  [0xc9, Buffer.from([8, 0, 8, 0, 8, 1, 1, 0x11, 0])],
  [0xc2, Buffer.from([8, 0x4e, 0x20, 0x0a, 0, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])],
  [0xcc, Buffer.from([0, 0x10])],
  [
    0xed,
    Buffer.concat([Buffer.from('Photoshop 3.0\x008BIM\x04\x04\0\0\xff\xff\xff\xff', 'latin1')]),
  ],
];

/** A TIFF of one directory: tag, type, count, value of each entry. */
function exif(entries: number[][], next = 0): Buffer {
  const count = Buffer.from([entries.length >> 8, entries.length & 255]);
  const fields = entries.map(([tag = 0, type = 0, items = 0, value = 0]) =>
    Buffer.concat([Buffer.from([tag >> 8, tag & 255, 0, type]), uint32s(items, value >>> 0)]),
  );
  const head = Buffer.from('Exif\0\0MM\0*\0\0\0\x08', 'latin1');
  return Buffer.concat([head, count, ...fields, uint32s(next)]);
}

/** A color profile that claims this many tags. */
function icc(tags: number): Buffer {
  const header = Buffer.alloc(128);
  header.writeUInt32BE(132, 0);
  header.write('mntrRGB XYZ ', 12, 'latin1');
  header.write('acsp', 36, 'latin1');
  return Buffer.concat([Buffer.from('ICC_PROFILE\0\x01\x01', 'latin1'), header, uint32s(tags)]);
}

/** Kept small; the scans of 100 and more repeats are refused. */
const repeats = fc.constantFrom(2, 3, 10, 40, 90, 120, 1100);

const mutations: fc.Arbitrary<Mutation> = fc.oneof(
  frameEdits,
  scanNoise,
  fc
    .record({ i: index, at: fc.nat(300), value: byte })
    .map(({ i, at, value }) =>
      change(i, (segment) => ({ ...segment, data: setByte(segment.data, at, value) })),
    ),
  fc
    .record({ i: index, length: fc.constantFrom(0, 1, 2, 3, 20, 0x7fff, 0xffff) })
    .map(({ i, length }) => change(i, (segment) => ({ ...segment, length }))),
  fc
    .record({ i: index, code: fc.integer({ min: 0xc0, max: 0xfe }) })
    .map(({ i, code }) => change(i, (segment) => ({ ...segment, code }))),
  index.map(
    (i): Mutation =>
      (segments) =>
        segments.filter((_, at) => at !== i % segments.length),
  ),
  fc.record({ i: index, times: repeats }).map(({ i, times }): Mutation => (segments) => {
    const chosen = segments[i % Math.max(segments.length, 1)];
    if (!chosen) return [];
    // At most 2 MB and 2,000 segments, since mutations of mutations must not grow without bounds.
    const most = Math.min(
      2e6 / (chosen.data.length + chosen.scan.length + 4),
      2000 - segments.length,
    );
    const count = Math.max(1, Math.floor(Math.min(times, most)));
    return segments.flatMap((s) => (s === chosen ? Array<Segment>(count).fill(s) : [s]));
  }),
  fc.record({ i: index, j: index }).map(({ i, j }): Mutation => (segments) => {
    const copy = [...segments];
    const [moved] = copy.splice(i % Math.max(copy.length, 1), 1);
    if (moved) copy.splice(j % (copy.length + 1), 0, moved);
    return copy;
  }),
  fc
    .record({ i: index, inserted: fc.constantFrom(...insertable) })
    .map(({ i, inserted: [code, data] }): Mutation => (segments) => {
      const at = i % (segments.length + 1);
      const scan = Buffer.alloc(0);
      return [...segments.slice(0, at), { code, data, scan }, ...segments.slice(at)];
    }),
  fc
    .record({ i: index, keep: fc.nat(200) })
    .map(({ i, keep }) =>
      change(i, (segment) => ({ ...segment, scan: segment.scan.subarray(0, keep) }), [SCAN]),
    ),
  fc
    .record({ i: index, bytes: fc.uint8Array({ maxLength: 300 }) })
    .map(({ i, bytes }) => change(i, (segment) => ({ ...segment, data: Buffer.from(bytes) }))),
);
