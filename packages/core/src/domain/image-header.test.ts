import { describe, expect, test } from 'vitest';
import { LivegateError } from './errors.js';
import { imageKind, inspectHeader } from './image-header.js';

const maxImagePixels = 50_000_000;
const inspect = (bytes: Uint8Array) => inspectHeader(bytes, maxImagePixels);

const soi = Buffer.from('ffd8', 'hex');
const eoi = Buffer.from('ffd9', 'hex');
const app1 = segment(0xe1, Buffer.from('Exif'));
const scan = Buffer.concat([segment(0xda, Buffer.alloc(6)), Buffer.from('12ff0034ffd056', 'hex')]);
const times = (count: number, bytes: Buffer) => Buffer.concat(Array(count).fill(bytes));

function segment(code: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0xff, code, 0, data.length + 2]), data]);
}

function frame(width: number, height: number, code = 0xc2): Buffer {
  const data = Buffer.from('080000000001011100', 'hex');
  data.writeUInt16BE(height, 1);
  data.writeUInt16BE(width, 3);
  return segment(code, data);
}

/** Its first marker follows the two bytes that open it, as in every JPEG. */
function jpeg(...parts: Buffer[]): Buffer {
  return Buffer.concat([soi, app1, ...parts, eoi]);
}

function png(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(33);
  bytes.write('89504e470d0a1a0a0000000d49484452', 'hex');
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  return bytes;
}

function refusal(bytes: Uint8Array): unknown {
  try {
    return inspect(bytes);
  } catch (error) {
    return error;
  }
}

describe('the kind is told by the very first bytes', () => {
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

describe('the size', () => {
  const good = jpeg(frame(30, 20), scan);
  test.each<[string, Buffer]>([
    ['of a JPEG', good],
    ['of a baseline JPEG', jpeg(frame(30, 20, 0xc0), scan)],
    ['of a JPEG with padding before its markers', jpeg(Buffer.alloc(9, 0xff), frame(30, 20), scan)],
    ['of a JPEG with garbage between segments', jpeg(Buffer.from('garbage'), frame(30, 20), scan)],
    ['of a JPEG without an end', good.subarray(0, -2)],
    ['of a JPEG before a second, larger one', Buffer.concat([good, jpeg(frame(99, 99), scan)])],
    ['of a JPEG with another in its metadata', jpeg(segment(0xe1, good), frame(30, 20), scan)],
  ])('%s', (_name, bytes) => {
    expect(inspect(bytes)).toEqual({ kind: 'jpeg', width: 30, height: 20 });
  });

  test('of a PNG', () => {
    expect(inspect(png(30, 20))).toEqual({ kind: 'png', width: 30, height: 20 });
  });

  test('is read at its place in a larger buffer', () => {
    const within = (bytes: Buffer) => Buffer.concat([Buffer.alloc(7), bytes]).subarray(7);
    expect(inspect(within(png(30, 20)))).toMatchObject({ width: 30, height: 20 });
    expect(inspect(within(good))).toMatchObject({ width: 30, height: 20 });
  });
});

describe('refused as invalid_image:', () => {
  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['a JPEG of its first bytes', Buffer.from('ffd8ff', 'hex')],
    ['a JPEG without a frame', jpeg(scan)],
    ['a JPEG without a scan', jpeg(frame(30, 20))],
    ['a JPEG cut in its frame', Buffer.concat([soi, app1, frame(30, 20).subarray(0, 6)])],
    ['a JPEG cut in a segment', jpeg(frame(30, 20), scan, Buffer.from('ffe1ffff', 'hex'))],
    ['a JPEG of no width', jpeg(frame(0, 20), scan)],
    ['a JPEG of no height', jpeg(frame(30, 0), scan)],
    ['a JPEG full of markers', Buffer.concat([soi, Buffer.alloc(100_000, 0xff)])],
    ['a cut PNG header', png(30, 20).subarray(0, 32)],
    ['a PNG that opens with another chunk', Buffer.from(png(30, 20).fill('IDAT', 12, 16))],
    ['a PNG of no width', png(0, 20)],
    ['a PNG of no height', png(30, 0)],
  ])('%s', (_name, bytes) => {
    expect(refusal(bytes)).toMatchObject({ code: 'invalid_image' });
  });
});

describe('a JPEG may have 100 scans', () => {
  const tooMany = { code: 'invalid_image', publicMessage: expect.stringContaining('100 scans') };

  test('and no more', () => {
    expect(inspect(jpeg(frame(30, 20), times(100, scan)))).toMatchObject({ width: 30 });
    expect(refusal(jpeg(frame(30, 20), times(101, scan)))).toMatchObject(tooMany);
  });

  test('which a decoder would find behind garbage', () => {
    const hidden = Buffer.concat([Buffer.from('1122ffff00ffd3ffff', 'hex'), scan]);
    const reserved = Buffer.concat([Buffer.from('ff02ffff', 'hex'), scan]);
    expect(refusal(jpeg(frame(30, 20), times(101, hidden)))).toMatchObject(tooMany);
    expect(refusal(jpeg(frame(30, 20), times(101, reserved)))).toMatchObject(tooMany);
  });

  test('not counting those in metadata or behind its end', () => {
    const metadata = times(200, segment(0xe1, scan));
    const bytes = Buffer.concat([jpeg(metadata, frame(30, 20), scan), times(200, scan)]);
    expect(inspect(bytes)).toMatchObject({ width: 30 });
  });
});

test('a JPEG may have 1000 segments and no more', () => {
  expect(inspect(jpeg(times(997, app1), frame(30, 20), scan))).toMatchObject({ width: 30 });
  expect(refusal(jpeg(times(998, app1), frame(30, 20), scan))).toMatchObject({
    code: 'invalid_image',
    publicMessage: 'the image is a JPEG of more than 1000 segments',
  });
});

describe('refused as image_dimensions_exceeded:', () => {
  test.each<[string, Buffer]>([
    ['a side of more than 20000 pixels', png(1, 20_001)],
    ['a side of more than 20000 pixels', png(20_001, 1)],
    ['a side of more than 20000 pixels', jpeg(frame(20_001, 1), scan)],
    ['more than 50000000 pixels', png(7072, 7072)],
    ['more than 50000000 pixels', jpeg(frame(7072, 7072), scan)],
  ])('%s', (excess, bytes) => {
    expect(refusal(bytes)).toMatchObject({
      code: 'image_dimensions_exceeded',
      publicMessage: `the image has ${excess}`,
    });
  });

  test('not at the limits', () => {
    expect(inspect(png(20_000, 2500))).toMatchObject({ width: 20_000, height: 2500 });
  });
});

test('whatever byte is changed, the answer is a size or a refusal', () => {
  const good = jpeg(frame(30, 20), scan, scan);
  for (let i = 0; i < good.length; i++) {
    for (const value of [0, 1, 0x7f, 0xc0, 0xd9, 0xda, 0xff]) {
      const changed = Buffer.from(good);
      changed[i] = value;
      const answer = refusal(changed);
      if (answer instanceof LivegateError) continue;
      expect(answer).toEqual({
        kind: 'jpeg',
        width: expect.any(Number),
        height: expect.any(Number),
      });
    }
  }
});
