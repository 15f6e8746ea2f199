import { describe, expect, test } from 'vitest';
import { LivegateError } from '../errors.js';
import { imageKind, inspectHeader } from './image-header.js';

const maxImagePixels = 52_000_000;
const inspect = (bytes: Uint8Array) => inspectHeader(bytes, maxImagePixels);

const soi = Buffer.from('ffd8', 'hex');
const eoi = Buffer.from('ffd9', 'hex');
const app1 = segment(0xe1, Buffer.from('Exif'));
const scan = scanOf([1], 0, 63);
const times = (count: number, bytes: Buffer) => Buffer.concat(Array(count).fill(bytes));

function segment(code: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0xff, code, 0, data.length + 2]), data]);
}

/**
 * A scan of the coefficients in a range, to the given lowest bit; its entropy-coded data is
 * invalid.
 */
function scanOf(components: number[], from: number, to: number, bits = 0): Buffer {
  const tables = components.flatMap((id) => [id, 0]);
  const header = Buffer.from([components.length, ...tables, from, to, bits]);
  return Buffer.concat([segment(0xda, header), Buffer.from('12ff0034ffd056', 'hex')]);
}

/** A frame header; `sampling` has the hexadecimal sampling factors of each component. */
function frame(
  width: number,
  height: number,
  { code = 0xc2, bits = 8, sampling = [0x11] }: Partial<FrameForm> = {},
): Buffer {
  const components = sampling.flatMap((factors, i) => [i + 1, factors, 0]);
  const data = Buffer.from([bits, 0, 0, 0, 0, sampling.length, ...components]);
  data.writeUInt16BE(height, 1);
  data.writeUInt16BE(width, 3);
  return segment(code, data);
}

interface FrameForm {
  code: number;
  bits: number;
  sampling: number[];
}

/** A JPEG of these segments. */
function jpeg(...parts: Buffer[]): Buffer {
  return Buffer.concat([soi, app1, ...parts, eoi]);
}

/** A PNG header, by default of 8-bit RGB without interlace. */
function png(width: number, height: number, form = [8, 2, 0]): Buffer {
  const [depth = 0, colorType = 0, interlace = 0] = form;
  const bytes = Buffer.alloc(33);
  bytes.write('89504e470d0a1a0a0000000d49484452', 'hex');
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  bytes.set([depth, colorType, 0, 0, interlace], 24);
  return bytes;
}

/** Declares one component more than the frame has fields for. */
function shorten(bytes: Buffer): Buffer {
  return Buffer.from(bytes).fill(2, 9, 10);
}

function refusal(bytes: Uint8Array): unknown {
  try {
    return inspect(bytes);
  } catch (error) {
    return error;
  }
}

describe('imageKind decides by the first bytes:', () => {
  test.each([
    ['jpeg', jpeg()],
    ['png', png(1, 1)],
    [undefined, Buffer.concat([Buffer.from('ID3\x03\0\0\0\0\0\0', 'latin1'), jpeg()])],
    [undefined, Buffer.concat([Buffer.from('\n'), png(1, 1)])],
    [undefined, soi],
    [undefined, Buffer.alloc(0)],
  ])('%s', (kind, bytes) => {
    expect(imageKind(bytes)).toBe(kind);
  });
});

describe('inspectHeader reads the size', () => {
  const good = jpeg(frame(30, 20), scan);
  test.each<[string, Buffer]>([
    ['of a JPEG', good],
    ['of a baseline JPEG', jpeg(frame(30, 20, { code: 0xc0 }), scan)],
    ['of a JPEG with padding before its markers', jpeg(Buffer.alloc(9, 0xff), frame(30, 20), scan)],
    ['of a JPEG with garbage between segments', jpeg(Buffer.from('garbage'), frame(30, 20), scan)],
    ['of a JPEG without an end', good.subarray(0, -2)],
    ['of a JPEG before a second, larger one', Buffer.concat([good, jpeg(frame(99, 99), scan)])],
    ['of a JPEG with another in its metadata', jpeg(segment(0xe1, good), frame(30, 20), scan)],
  ])('%s', (_name, bytes) => {
    expect(inspect(bytes)).toMatchObject({ kind: 'jpeg', width: 30, height: 20 });
  });

  test('of a PNG', () => {
    expect(inspect(png(30, 20))).toMatchObject({ kind: 'png', width: 30, height: 20 });
  });

  test('from a view into a larger buffer', () => {
    const within = (bytes: Buffer) => Buffer.concat([Buffer.alloc(7), bytes]).subarray(7);
    expect(inspect(within(png(30, 20)))).toMatchObject({ width: 30, height: 20 });
    expect(inspect(within(good))).toMatchObject({ width: 30, height: 20 });
  });
});

describe('inspectHeader refuses as invalid_image:', () => {
  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['a JPEG of its first bytes', Buffer.from('ffd8ff', 'hex')],
    ['a JPEG without a frame', jpeg(scan)],
    ['a JPEG without a scan', jpeg(frame(30, 20))],
    ['a JPEG cut in its frame', Buffer.concat([soi, app1, frame(30, 20).subarray(0, 6)])],
    ['a JPEG cut in a segment', jpeg(frame(30, 20), scan, Buffer.from('ffe1ffff', 'hex'))],
    ['a JPEG of no width', jpeg(frame(0, 20), scan)],
    ['a JPEG of no height', jpeg(frame(30, 0), scan)],
    ['a JPEG with a scan before its frame', jpeg(scan, frame(30, 20))],
    ['a JPEG of impossible sampling', jpeg(frame(30, 20, { sampling: [0x51] }), scan)],
    ['a JPEG of fewer components than it says', jpeg(shorten(frame(30, 20)), scan)],
    ['a JPEG whose scan header is cut', jpeg(frame(30, 20), segment(0xda, Buffer.from([1, 1])))],
    ['a JPEG full of markers', Buffer.concat([soi, Buffer.alloc(100_000, 0xff)])],
    ['a cut PNG header', png(30, 20).subarray(0, 32)],
    ['a PNG that opens with another chunk', Buffer.from(png(30, 20).fill('IDAT', 12, 16))],
    ['a PNG of no width', png(0, 20)],
    ['a PNG of no height', png(30, 0)],
    ['a PNG of no known color type', png(30, 20, [8, 5, 0])],
    ['a PNG of a depth that its color type cannot have', png(30, 20, [4, 2, 0])],
    ['a PNG of no known interlace', png(30, 20, [8, 2, 2])],
  ])('%s', (_name, bytes) => {
    expect(refusal(bytes)).toMatchObject({ code: 'invalid_image' });
  });
});

describe('inspectHeader names a variant that is not decoded:', () => {
  const baseline = ', send a baseline or progressive JPEG of 8 bits';
  const withCode = (code: number) => jpeg(frame(30, 20, { code }), scan);
  test.each<[string, Buffer]>([
    ...[0xc9, 0xca].map((code): [string, Buffer] => [
      `a JPEG with arithmetic coding${baseline}`,
      withCode(code),
    ]),
    [`a JPEG with arithmetic coding${baseline}`, jpeg(segment(0xcc, soi), frame(30, 20), scan)],
    ...[0xc3, 0xcb].map((code): [string, Buffer] => [`a lossless JPEG${baseline}`, withCode(code)]),
    ...[0xc5, 0xc6, 0xc7, 0xcd, 0xce, 0xcf, 0xde].map((code): [string, Buffer] => [
      `a hierarchical JPEG${baseline}`,
      withCode(code),
    ]),
    [`a JPEG-LS${baseline}`, withCode(0xf7)],
    [`a JPEG of 12 bits a sample${baseline}`, jpeg(frame(30, 20, { code: 0xc1, bits: 12 }), scan)],
    [`a JPEG of 2 components${baseline}`, jpeg(frame(30, 20, { sampling: [0x11, 0x11] }), scan)],
    [`a JPEG with its height after its pixels${baseline}`, jpeg(frame(30, 0), scan)],
    ['a PNG in Apple’s CgBI form, send a plain PNG', Buffer.from(png(30, 20).fill('CgBI', 12, 16))],
    [
      'an interlaced PNG of more than 210000000 bytes of pixels, send a plain PNG',
      png(7000, 7000, [16, 6, 1]),
    ],
  ])('%s', (name, bytes) => {
    expect(refusal(bytes)).toMatchObject({
      code: 'invalid_image',
      publicMessage: `the image is ${name}`,
    });
  });

  test('a variant after a supported frame', () => {
    const hidden = jpeg(frame(30, 20), scan, frame(30, 20, { code: 0xc9 }), scan);
    expect(refusal(hidden)).toMatchObject({
      publicMessage: expect.stringContaining('arithmetic'),
    });
  });
});

describe('the decode cost:', () => {
  const gray = { width: 64, height: 48 };
  const costOf = (bytes: Uint8Array) => inspect(bytes).cost;
  const [baseline, color] = [0xc0, { code: 0xc0, sampling: [0x22, 0x11, 0x11] }];
  const frameOf = (form: Partial<FrameForm>) => frame(gray.width, gray.height, form);

  test.each<[string, Buffer, { samples: number; heldBytes: number }]>([
    [
      'a baseline scan is read row by row',
      jpeg(frameOf({ code: baseline }), scan),
      { samples: 64 * 48, heldBytes: 0 },
    ],
    [
      'a progressive JPEG is held in memory, at two bytes a sample',
      jpeg(frameOf({}), scan),
      { samples: 64 * 48, heldBytes: 2 * 64 * 48 },
    ],
    [
      'less sampled components have fewer samples',
      jpeg(frameOf(color), scanOf([1, 2, 3], 0, 63)),
      { samples: 1.5 * 64 * 48, heldBytes: 0 },
    ],
    [
      'components in separate scans are held in memory',
      jpeg(frameOf(color), ...[1, 2, 3].map((id) => scanOf([id], 0, 63))),
      { samples: 1.5 * 64 * 48, heldBytes: 2 * 1.5 * 64 * 48 },
    ],
    [
      'each scan visits all samples of its components',
      jpeg(frameOf({}), times(7, scan)),
      { samples: 7 * 64 * 48, heldBytes: 2 * 64 * 48 },
    ],
    [
      'blocks that reach beyond the edges are decoded as a whole',
      jpeg(frame(1, 1, color), scanOf([1, 2, 3], 0, 63)),
      { samples: (4 + 1 + 1) * 64, heldBytes: 0 },
    ],
    ['a PNG is read row by row', png(64, 48), { samples: 48 * (1 + 3 * 64), heldBytes: 0 }],
    [
      'an interlaced PNG is held in memory',
      png(64, 48, [16, 6, 1]),
      { samples: 48 * (1 + 8 * 64), heldBytes: 48 * (1 + 8 * 64) },
    ],
    ['bits are packed into bytes', png(9, 1, [1, 0, 1]), { samples: 1 + 2, heldBytes: 1 + 2 }],
  ])('%s', (_name, bytes, cost) => {
    expect(costOf(bytes)).toEqual(cost);
  });

  // The ten scans that libjpeg writes for a photo: of all three components, or of one.
  const photoScans = [[1, 2, 3], [1], [3], [2], [1], [1], [1, 2, 3], [3], [2], [1]];
  const large = frame(8160, 6144, { sampling: [0x11, 0x11, 0x11] });

  test('a photo of 50 megapixels in ten scans is not too costly', () => {
    const scans = photoScans.map((components) => scanOf(components, 0, 63));
    expect(inspect(jpeg(large, ...scans))).toMatchObject({ width: 8160, height: 6144 });
  });

  test('a photo of 50 megapixels in twenty scans is too costly, and the refusal says so', () => {
    const scans = [...photoScans, ...photoScans].map((components) => scanOf(components, 0, 63));
    expect(refusal(jpeg(large, ...scans))).toMatchObject({
      code: 'invalid_image',
      publicMessage:
        'the image takes longer to decode than a photo does, send fewer pixels or a baseline JPEG',
    });
  });
});

describe('inspectHeader without an end marker', () => {
  const cut = (...parts: Buffer[]) => Buffer.concat([soi, app1, ...parts]);

  test('accepts a JPEG with all of its scans', () => {
    expect(inspect(cut(frame(30, 20), scanOf([1], 0, 0), scanOf([1], 1, 63)))).toMatchObject({
      hasEnd: false,
    });
    expect(inspect(jpeg(frame(30, 20), scan))).toMatchObject({ hasEnd: true });
  });

  test.each<[string, Buffer]>([
    ['of a band of coefficients', cut(frame(30, 20), scanOf([1], 0, 0), scanOf([1], 1, 62))],
    ['of the last bits', cut(frame(30, 20), scanOf([1], 0, 63, 1))],
    [
      'of a component',
      cut(frame(30, 20, { code: 0xc0, sampling: [0x11, 0x11, 0x11] }), scanOf([1], 0, 63)),
    ],
  ])('refuses a JPEG that lacks the scan %s', (_name, bytes) => {
    expect(refusal(bytes)).toMatchObject({ code: 'invalid_image' });
    expect(inspect(Buffer.concat([bytes, eoi]))).toMatchObject({ width: 30 });
  });
});

describe('inspectHeader accepts a JPEG of 100 scans', () => {
  const tooMany = { code: 'invalid_image', publicMessage: expect.stringContaining('100 scans') };

  test('and refuses one of 101 scans', () => {
    expect(inspect(jpeg(frame(30, 20), times(100, scan)))).toMatchObject({ width: 30 });
    expect(refusal(jpeg(frame(30, 20), times(101, scan)))).toMatchObject(tooMany);
  });

  test('and counts scans after garbage, which a decoder finds', () => {
    const hidden = Buffer.concat([Buffer.from('1122ffff00ffd3ffff', 'hex'), scan]);
    const reserved = Buffer.concat([Buffer.from('ff02ffff', 'hex'), scan]);
    expect(refusal(jpeg(frame(30, 20), times(101, hidden)))).toMatchObject(tooMany);
    expect(refusal(jpeg(frame(30, 20), times(101, reserved)))).toMatchObject(tooMany);
  });

  test('without counting scans in metadata or after the end', () => {
    const metadata = times(200, segment(0xe1, scan));
    const bytes = Buffer.concat([jpeg(metadata, frame(30, 20), scan), times(200, scan)]);
    expect(inspect(bytes)).toMatchObject({ width: 30 });
  });
});

test('inspectHeader accepts a JPEG of 1000 segments, and refuses one of 1001', () => {
  expect(inspect(jpeg(times(997, app1), frame(30, 20), scan))).toMatchObject({ width: 30 });
  expect(refusal(jpeg(times(998, app1), frame(30, 20), scan))).toMatchObject({
    code: 'invalid_image',
    publicMessage: 'the image is a JPEG of more than 1000 segments',
  });
});

describe('inspectHeader refuses as image_dimensions_exceeded:', () => {
  test.each<[string, Buffer]>([
    ['a side of more than 20000 pixels', png(1, 20_001)],
    ['a side of more than 20000 pixels', png(20_001, 1)],
    ['a side of more than 20000 pixels', jpeg(frame(20_001, 1), scan)],
    ['more than 52000000 pixels', png(7212, 7212)],
    ['more than 52000000 pixels', jpeg(frame(7212, 7212), times(99, scan))],
  ])('%s', (excess, bytes) => {
    expect(refusal(bytes)).toMatchObject({
      code: 'image_dimensions_exceeded',
      publicMessage: `the image has ${excess}`,
    });
  });

  test('but not an image at the limits', () => {
    expect(inspect(png(20_000, 2500))).toMatchObject({ width: 20_000, height: 2500 });
  });
});

test('inspectHeader returns a size or a refusal, whichever byte is changed', () => {
  const good = jpeg(frame(30, 20), scan, scan);
  for (let i = 0; i < good.length; i++) {
    for (const value of [0, 1, 0x7f, 0xc0, 0xd9, 0xda, 0xff]) {
      const changed = Buffer.from(good);
      changed[i] = value;
      const answer = refusal(changed);
      if (answer instanceof LivegateError) continue;
      expect(answer).toMatchObject({
        kind: 'jpeg',
        width: expect.any(Number),
        height: expect.any(Number),
      });
    }
  }
});
