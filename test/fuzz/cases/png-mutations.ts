import { crc32, deflateSync } from 'node:zlib';
import { uint32s } from '@livegate/testing/images/odd-images';
import * as fc from 'fast-check';
import { sometimes } from './requests.js';

interface Chunk {
  type: string;
  data: Buffer;
  /** Declared length, if it is not the true one. */
  length?: number;
  /** Written instead of the true checksum. */
  checksum?: number;
}

type Mutation = (chunks: Chunk[]) => Chunk[];

/** Mutates a PNG as a list of chunks with true checksums, so that decoders read what was changed. */
export function mutatedPngs(bases: Buffer[]): fc.Arbitrary<Buffer> {
  return fc
    .record({
      base: fc.constantFrom(...bases),
      mutations: fc.array(mutations, { minLength: 1, maxLength: 4 }),
      tail: fc.constantFrom(...tails),
      cut: sometimes(fc.nat(1000)),
    })
    .map(({ base, mutations: chosen, tail, cut }) => {
      const mutated = chosen.reduce((chunks, mutate) => mutate(chunks), parse(base));
      const bytes = Buffer.concat([SIGNATURE, ...mutated.map(encode), tail]);
      return cut === null ? bytes : bytes.subarray(0, bytes.length - Math.min(cut, bytes.length));
    });
}

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const none = Buffer.alloc(0);
const tails = [
  none,
  none,
  none,
  Buffer.from('PK\x03\x04\x14\0\0\0\0\0', 'latin1'),
  Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
  Buffer.from('ffd8ffe000104a464946', 'hex'),
  Buffer.alloc(5000, 0xff),
];

function parse(png: Buffer): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    const data = Buffer.from(png.subarray(at + 8, at + 8 + length));
    chunks.push({ type: png.toString('latin1', at + 4, at + 8), data });
    at += 12 + length;
  }
  return chunks;
}

function encode({ type, data, length = data.length, checksum }: Chunk): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  return Buffer.concat([uint32s(length), typed, uint32s(checksum ?? crc32(typed))]);
}

const index = fc.nat(1000);
/** Mutations of mutations must not grow without bounds. */
const MOST_CHUNKS = 5000;
/** How often these bytes may be repeated: up to 2 MB. */
const most = (data: Buffer) => Math.max(1, Math.floor(2e6 / (data.length + 12)));
const sizes = fc.constantFrom(0, 1, 2, 9, 300, 2600, 7211, 20_000, 20_001, 2 ** 31, 2 ** 32 - 1);

/** Writes width and height, and depth, color type, methods and interlace. */
const headerEdits = fc
  .record({
    size: fc.option(fc.tuple(sizes, sizes)),
    depth: fc.constantFrom(undefined, 1, 2, 4, 8, 16, 3, 0),
    colorType: fc.constantFrom(undefined, 0, 2, 3, 4, 6, 1, 7),
    lace: fc.constantFrom(undefined, undefined, 0, 1, 2),
  })
  .map(({ size, depth, colorType, lace }) =>
    change('IHDR', ({ data, ...rest }) => {
      const copy = Buffer.alloc(Math.max(13, data.length));
      copy.set(data);
      if (size) copy.set(uint32s(...size), 0);
      if (depth !== undefined) copy[8] = depth;
      if (colorType !== undefined) copy[9] = colorType;
      if (lace !== undefined) copy[12] = lace;
      return { ...rest, data: copy };
    }),
  );

const bomb = deflateSync(Buffer.alloc(20_000_000));
const text = (name: string) => Buffer.from(`${name}\0\0`, 'latin1');

const insertable: [type: string, data: Buffer][] = [
  ['zTXt', Buffer.concat([text('Comment'), bomb])],
  ['iTXt', Buffer.concat([Buffer.from('Comment\0\x01\0\0\0', 'latin1'), bomb])],
  ['iCCP', Buffer.concat([text('profile'), bomb])],
  ['iCCP', Buffer.concat([text('profile'), deflateSync(Buffer.alloc(132, 'acsp'))])],
  ['iCCP', Buffer.from('x')],
  ['eXIf', Buffer.from('MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\xff\xff\xff\xff\0\x09\0\0', 'latin1')],
  ['eXIf', Buffer.from('II*\0\xff\xff\xff\xff', 'latin1')],
  ['acTL', uint32s(0xffffffff, 0)],
  ['acTL', uint32s(2, 0)],
  ['fcTL', Buffer.concat([uint32s(0, 20_000, 20_000, 0xffffffff, 0), Buffer.alloc(6)])],
  ['fdAT', Buffer.concat([uint32s(1), deflateSync(Buffer.alloc(1000))])],
  ['PLTE', Buffer.alloc(3 * 256, 0x80)],
  ['PLTE', Buffer.alloc(4)],
  ['PLTE', none],
  ['tRNS', Buffer.alloc(300)],
  ['tRNS', Buffer.alloc(1)],
  ['gAMA', uint32s(0)],
  ['gAMA', uint32s(0xffffffff)],
  ['cHRM', Buffer.alloc(32)],
  ['cHRM', Buffer.alloc(32, 0xff)],
  ['sBIT', Buffer.alloc(4, 0xff)],
  ['bKGD', Buffer.alloc(6, 0xff)],
  ['sPLT', Buffer.concat([Buffer.from('p\0\x10'), Buffer.alloc(100_000)])],
  ['hIST', Buffer.alloc(512)],
  ['pHYs', Buffer.alloc(9)],
  ['cICP', Buffer.from([9, 16, 0, 1])],
  ['IEND', none],
  ['IHDR', Buffer.from('00000008000000080802000000', 'hex')],
  ['CgBI', Buffer.from('50002002', 'hex')],
  ['aaAa', Buffer.alloc(300_000)],
  ['AAAA', none],
  ['\0\0\0\0', none],
];

const pixelData = fc.constantFrom(
  none,
  bomb,
  deflateSync(none),
  deflateSync(Buffer.alloc(100_000, 5)),
  // Filter types that do not exist.
  deflateSync(Buffer.alloc(100_000, 0xff)),
  Buffer.from('789c', 'hex'),
  Buffer.concat([deflateSync(Buffer.alloc(5000)), Buffer.alloc(5000, 0xff)]),
);

/** Changes the first chunk of a type, or the one at an index, counted modulo their number. */
function change(which: string | number, edit: (chunk: Chunk) => Chunk): Mutation {
  return (chunks) => {
    const chosen =
      typeof which === 'string'
        ? chunks.find(({ type }) => type === which)
        : chunks[which % Math.max(chunks.length, 1)];
    return chunks.map((each) => (each === chosen ? edit(each) : each));
  };
}

const mutations: fc.Arbitrary<Mutation> = fc.oneof(
  headerEdits,
  pixelData.map((data) => change('IDAT', (chunk) => ({ ...chunk, data }))),
  fc.record({ at: fc.nat(100_000), value: fc.nat(255) }).map(({ at, value }) =>
    change('IDAT', ({ data, ...rest }) => {
      const copy = Buffer.from(data);
      if (copy.length > 0) copy[at % copy.length] = value;
      return { ...rest, data: copy };
    }),
  ),
  fc
    .record({ i: index, length: fc.constantFrom(0, 1, 100, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1) })
    .map(({ i, length }) => change(i, (chunk) => ({ ...chunk, length }))),
  fc
    .record({ i: index, checksum: fc.constantFrom(0, 0xffffffff) })
    .map(({ i, checksum }) => change(i, (chunk) => ({ ...chunk, checksum }))),
  fc
    .record({
      i: index,
      type: fc.constantFrom('IDAT', 'iDAT', 'IEND', 'PLTE', 'tEXt', '\xff\xfe!!'),
    })
    .map(({ i, type }) => change(i, (chunk) => ({ ...chunk, type }))),
  index.map(
    (i): Mutation =>
      (chunks) =>
        chunks.filter((_, at) => at !== i % chunks.length),
  ),
  fc
    .record({ i: index, times: fc.constantFrom(2, 3, 50, 3000) })
    .map(({ i, times }): Mutation => (chunks) => {
      const chosen = chunks[i % Math.max(chunks.length, 1)];
      if (!chosen) return [];
      const count = Math.max(1, Math.min(times, MOST_CHUNKS - chunks.length, most(chosen.data)));
      return chunks.flatMap((each) => (each === chosen ? Array<Chunk>(count).fill(each) : [each]));
    }),
  fc
    .record({
      i: index,
      inserted: fc.constantFrom(...insertable),
      times: fc.constantFrom(1, 1, 1, 200),
    })
    .map(({ i, inserted: [type, data], times }): Mutation => (chunks) => {
      const at = i % (chunks.length + 1);
      const count = Math.min(times, most(data));
      const inserted = Array.from({ length: count }, () => ({ type, data }));
      return [...chunks.slice(0, at), ...inserted, ...chunks.slice(at)];
    }),
  fc.nat(40).map(
    (size): Mutation =>
      (chunks) =>
        chunks.flatMap((chunk) => (chunk.type === 'IDAT' ? split(chunk, size + 1) : [chunk])),
  ),
);

function split({ type, data }: Chunk, size: number): Chunk[] {
  const count = Math.min(3000, Math.ceil(data.length / size));
  return Array.from({ length: count }, (_, i) => ({
    type,
    data: data.subarray(i * size, i === count - 1 ? data.length : (i + 1) * size),
  }));
}
