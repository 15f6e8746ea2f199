import { describe, expect, test } from 'vitest';
import { LivegateError } from '../errors.js';
import { imageKind, inspectHeader, requireImageBytes } from './image-header.js';
import { walkJpeg } from './image-header-jpeg.js';

const maxImagePixels = 52_000_000;
const inspect = (bytes: Uint8Array) => inspectHeader(bytes, maxImagePixels);

const soi = Buffer.from('ffd8', 'hex');
const eoi = Buffer.from('ffd9', 'hex');
const app1 = segment(0xe1, Buffer.from('Exif'));
const scan = scanOf([1], 0, 63);
const cutScan = segment(0xda, Buffer.from([1, 1]));
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
    ['of a JPEG with a second start marker', jpeg(soi, frame(30, 20), scan)],
    ['of a JPEG with the largest sampling', jpeg(frame(30, 20, { sampling: [0x44] }), scan)],
    ['of a JPEG without an end', good.subarray(0, -2)],
    ['of a JPEG before a second, larger one', Buffer.concat([good, jpeg(frame(99, 99), scan)])],
    ['of a JPEG with another in its metadata', jpeg(segment(0xe1, good), frame(30, 20), scan)],
  ])('%s', (_name, bytes) => {
    expect(inspect(bytes)).toMatchObject({ kind: 'jpeg', width: 30, height: 20 });
  });

  test('of a PNG', () => {
    expect(inspect(png(30, 20))).toMatchObject({ kind: 'png', width: 30, height: 20 });
  });

  test.each([
    ['gray', 0, false],
    ['RGB', 2, true],
    ['a palette', 3, true],
    ['gray with alpha', 4, false],
    ['RGB with alpha', 6, true],
  ])('and the color of a PNG: %s', (_name, colorType, hasColor) => {
    expect(inspect(png(30, 20, [8, colorType, 0]))).toMatchObject({ hasColor });
  });

  test('from a view into a larger buffer', () => {
    const within = (bytes: Buffer) => Buffer.concat([Buffer.alloc(7), bytes]).subarray(7);
    expect(inspect(within(png(30, 20)))).toMatchObject({ width: 30, height: 20 });
    expect(inspect(within(good))).toMatchObject({ width: 30, height: 20 });
  });
});

describe('inspectHeader refuses as invalid_image, and logs why:', () => {
  const withoutPicture = 'a JPEG without a picture';
  const isCut = 'a JPEG that ends inside a segment';
  const notIhdr = 'a PNG that does not open with IHDR';
  test.each<[string, string, Buffer]>([
    ['nothing', 'neither a JPEG nor a PNG', Buffer.alloc(0)],
    ['text', 'neither a JPEG nor a PNG', Buffer.from('a text as long as the header of a PNG')],
    ['a JPEG of its first bytes', withoutPicture, Buffer.from('ffd8ff', 'hex')],
    ['a JPEG without a frame', 'a JPEG with a scan before its frame', jpeg(scan)],
    ['a JPEG without a scan', withoutPicture, jpeg(frame(30, 20))],
    ['a JPEG cut in its frame', isCut, Buffer.concat([soi, app1, frame(30, 20).subarray(0, 6)])],
    ['a JPEG cut in a segment', isCut, jpeg(frame(30, 20), scan, Buffer.from('ffe1ffff', 'hex'))],
    ['a JPEG of no width', 'a JPEG without pixels', jpeg(frame(0, 20), scan)],
    ['a late frame', 'a JPEG with a scan before its frame', jpeg(scan, frame(30, 20))],
    ...[[0x51], [0x15], [0x01], [0x10], [0x11, 0x51, 0x11]].map(
      (sampling): [string, string, Buffer] => [
        `a JPEG with the sampling ${sampling.map((factors) => factors.toString(16)).join()}`,
        'a JPEG with impossible sampling',
        jpeg(frame(30, 20, { sampling }), scan),
      ],
    ),
    ['a JPEG without a component', 'a JPEG with a cut frame', jpeg(shorten(frame(30, 20)), scan)],
    ['a JPEG whose scan is cut', 'a JPEG with a cut scan header', jpeg(frame(30, 20), cutScan)],
    ['a JPEG of markers', withoutPicture, Buffer.concat([soi, Buffer.alloc(100_000, 0xff)])],
    ['the signature of a PNG', notIhdr, png(30, 20).subarray(0, 8)],
    ['a cut PNG header', notIhdr, png(30, 20).subarray(0, 32)],
    ['a PNG that opens with another chunk', notIhdr, png(30, 20).fill('IDAT', 12, 16)],
    ['a PNG with an IHDR of another length', notIhdr, png(30, 20).fill(14, 11, 12)],
    ['a PNG of no width', 'a PNG without pixels', png(0, 20)],
    ['a PNG of no height', 'a PNG without pixels', png(30, 0)],
    ['a PNG of no known color type', 'a PNG of no known kind', png(30, 20, [8, 5, 0])],
    ['a PNG of an impossible depth', 'a PNG of no known kind', png(30, 20, [4, 2, 0])],
    ['a PNG of no known interlace', 'a PNG of no known kind', png(30, 20, [8, 2, 2])],
  ])('%s: %s', (_name, detail, bytes) => {
    expect(refusal(bytes)).toMatchObject({ code: 'invalid_image', detail });
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
    [
      'bytes between the segments are not scans',
      jpeg(frameOf({ code: baseline }), scan, Buffer.from('00da0002', 'hex')),
      { samples: 64 * 48, heldBytes: 0 },
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
      detail: '1403781120 samples in its scans',
    });
  });

  test('1.3 billion samples are not too costly, one scan more is', () => {
    const scans = times(26, scan);
    const parts = [frame(10_000, 5000), scans];
    expect(inspect(jpeg(...parts)).cost.samples).toBe(1_300_000_000);
    expect(refusal(jpeg(...parts, scan))).toMatchObject({
      detail: '1350000000 samples in its scans',
    });
  });

  test('210 million bytes of an interlaced PNG are not too many', () => {
    expect(inspect(png(8203, 3200, [16, 6, 1])).cost.heldBytes).toBe(210_000_000);
  });
});

describe('inspectHeader without an end marker', () => {
  const cut = (...parts: Buffer[]) => Buffer.concat([soi, app1, ...parts]);

  test('accepts a JPEG that ends with the header of its last scan', () => {
    const ended = cut(frame(30, 20), segment(0xda, Buffer.from([1, 1, 0, 0, 63, 0])));
    expect(inspect(ended)).toMatchObject({ hasEnd: false });
  });

  test('accepts a baseline JPEG, whatever its scan says about coefficients and bits', () => {
    const written = scanOf([1], 0, 0, 0x11);
    expect(inspect(cut(frame(30, 20, { code: 0xc0 }), written))).toMatchObject({ hasEnd: false });
  });

  test('accepts a progressive JPEG of three components in one scan', () => {
    const color = frame(30, 20, { sampling: [0x11, 0x11, 0x11] });
    expect(inspect(cut(color, scanOf([1, 2, 3], 0, 63)))).toMatchObject({ hasEnd: false });
  });

  test('accepts a JPEG with all of its scans', () => {
    expect(inspect(cut(frame(30, 20), scanOf([1], 0, 0), scanOf([1], 1, 63)))).toMatchObject({
      hasEnd: false,
    });
    expect(inspect(jpeg(frame(30, 20), scan))).toMatchObject({ hasEnd: true });
  });

  test.each<[string, Buffer]>([
    ['of a band of coefficients', cut(frame(30, 20), scanOf([1], 0, 0), scanOf([1], 1, 62))],
    [
      'of a band of three components',
      cut(frame(30, 20, { sampling: [0x11, 0x11, 0x11] }), scanOf([1, 2, 3], 1, 63)),
    ],
    ['of the last bits', cut(frame(30, 20), scanOf([1], 0, 63, 1))],
    [
      'of a component',
      cut(frame(30, 20, { code: 0xc0, sampling: [0x11, 0x11, 0x11] }), scanOf([1], 0, 63)),
    ],
  ])('refuses a JPEG that lacks the scan %s', (_name, bytes) => {
    expect(refusal(bytes)).toMatchObject({
      code: 'invalid_image',
      detail: 'a JPEG that ends before its last scan',
    });
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

describe('inspectHeader refuses as image_dimensions_exceeded, and logs the size:', () => {
  test.each<[string, string, Buffer]>([
    ['a side of more than 20000 pixels', '1x20001', png(1, 20_001)],
    ['a side of more than 20000 pixels', '20001x1', png(20_001, 1)],
    ['a side of more than 20000 pixels', '20001x1', jpeg(frame(20_001, 1), scan)],
    ['more than 52000000 pixels', '7212x7212', png(7212, 7212)],
    ['more than 52000000 pixels', '7212x7212', jpeg(frame(7212, 7212), times(99, scan))],
  ])('%s: %s', (excess, detail, bytes) => {
    expect(refusal(bytes)).toMatchObject({
      code: 'image_dimensions_exceeded',
      publicMessage: `the image has ${excess}`,
      detail,
    });
  });

  test('but not an image at the limits', () => {
    expect(inspect(png(20_000, 2600))).toMatchObject({ width: 20_000, height: 2600 });
  });
});

describe('requireImageBytes', () => {
  const limits = { maxImageBytes: 3, maxImagePixels };

  test('accepts as many bytes as the limit, and not one more', () => {
    expect(() => requireImageBytes(Buffer.alloc(1), limits)).not.toThrow();
    expect(() => requireImageBytes(Buffer.alloc(3), limits)).not.toThrow();
    expect(() => requireImageBytes(Buffer.alloc(4), limits)).toThrow(
      expect.objectContaining({
        code: 'image_too_large',
        publicMessage: 'the image has more than 3 bytes',
      }),
    );
  });

  test('refuses an empty file', () => {
    expect(() => requireImageBytes(Buffer.alloc(0), limits)).toThrow(
      expect.objectContaining({ code: 'empty_image' }),
    );
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

test('walkJpeg yields each segment with its place, up to and with the end marker', () => {
  const bytes = jpeg(frame(30, 20), scan, Buffer.from('between'), scan);
  const walked = [...walkJpeg(Buffer.concat([bytes, soi, app1]))];
  const codes = walked.map(({ code }) => code);
  expect(codes).toEqual([0xe1, 0xc2, 0xda, 0xda, 0xd9]);
  for (const { code, start, dataStart, end } of walked) {
    expect([...bytes.subarray(start, start + 2)]).toEqual([0xff, code]);
    const length = code === 0xd9 ? 0 : bytes.readUInt16BE(start + 2);
    expect({ dataStart, end }).toEqual({
      dataStart: start + 2 + Math.min(length, 2),
      end: start + 2 + length,
    });
  }
  expect(walked.at(-1)!.end).toBe(bytes.length);
});

test('walkJpeg finds a marker at any distance behind a stuffed byte', () => {
  for (let gap = 0; gap < 100; gap++) {
    const data = [Buffer.alloc(gap, 0x12), Buffer.from('ff00', 'hex'), Buffer.alloc(gap, 0x34)];
    const codes = [...walkJpeg(jpeg(frame(30, 20), scan, ...data, scan))].map(({ code }) => code);
    expect({ gap, codes }).toEqual({ gap, codes: [0xe1, 0xc2, 0xda, 0xda, 0xd9] });
  }
});
