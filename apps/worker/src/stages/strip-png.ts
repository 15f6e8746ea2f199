import { crc32, deflateSync } from 'node:zlib';
import { colorChunks, profileOf, type ColorChunk, type ColorChunks } from './png-color.js';

/**
 * The PNG with nothing in it but what the pixels need; the rest of the file is not copied. What its
 * colors mean is one profile then, whichever chunks said so, as the decoder reads only profiles.
 *
 * A decoder inflates compressed text that nobody reads: 50 KB of it become 50 MB. A cut last chunk
 * stays as it is, for the decoder to refuse.
 */
export function stripPng(png: Uint8Array, hasColor: boolean): Uint8Array {
  const source = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  const profile = profileOf(readColorChunks(source), hasColor);
  const profileChunk = profile ? createProfileChunk(profile) : Buffer.alloc(0);
  const stripped = Buffer.allocUnsafe(source.length + profileChunk.length);
  let length = source.copy(stripped, 0, 0, HEADER_END);
  length += profileChunk.copy(stripped, length);
  let hasPixels = false;
  for (let at = HEADER_END; at + CHUNK_FRAME_BYTES <= source.length;) {
    const end = at + CHUNK_FRAME_BYTES + source.readUInt32BE(at);
    const type = source.readUInt32BE(at + 4);
    hasPixels ||= type === IDAT;
    if (pixelTypes.has(type) || (type === EXIF && !hasPixels)) {
      length += source.copy(stripped, length, at, end);
    }
    at = end;
  }
  return stripped.subarray(0, length);
}

/** The first whole one of each, if it comes before the pixels: a browser reads no others. */
function readColorChunks(source: Buffer): ColorChunks {
  const found: ColorChunks = {};
  for (let at = HEADER_END; at + CHUNK_FRAME_BYTES <= source.length;) {
    const end = at + CHUNK_FRAME_BYTES + source.readUInt32BE(at);
    const type = source.readUInt32BE(at + 4);
    if (type === IDAT) break;
    const name = colorTypes.get(type);
    if (name && end <= source.length && isWhole(source, at, end)) {
      found[name] ??= source.subarray(at + 8, end - 4);
    }
    at = end;
  }
  return found;
}

function isWhole(source: Buffer, at: number, end: number): boolean {
  return crc32(source.subarray(at + 4, end - 4)) === source.readUInt32BE(end - 4);
}

function createProfileChunk(profile: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from('iCCPcolor\0\0', 'latin1'), deflateSync(profile)]);
  const chunk = Buffer.alloc(typed.length + 8);
  chunk.writeUInt32BE(typed.length - 4);
  typed.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(typed), typed.length + 4);
  return chunk;
}

/** A chunk's length, type and checksum. */
const CHUNK_FRAME_BYTES = 12;
/** The signature and IHDR, which the decoder is given as it is. */
const HEADER_END = 8 + CHUNK_FRAME_BYTES + 13;

/** The pixels and their transparency. */
const pixelTypes = new Set(['PLTE', 'IDAT', 'IEND', 'tRNS'].map(toNumber));
const IDAT = toNumber('IDAT');
/** Which side is up. Behind the pixels, a browser does not read it. */
const EXIF = toNumber('eXIf');
const colorTypes = new Map<number, ColorChunk>(colorChunks.map((name) => [toNumber(name), name]));

function toNumber(type: string): number {
  return Buffer.from(type, 'latin1').readUInt32BE();
}
