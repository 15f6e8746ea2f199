import { crc32, deflateSync, inflateSync } from 'node:zlib';
import {
  type Chromaticities,
  createGrayProfile,
  createRgbProfile,
  type Curve,
  isProfile,
  withoutPipelines,
} from './icc-profile.js';

/** The data of the PNG chunks that define the color space. */
export type ColorChunks = Partial<Record<ColorChunk, Buffer>>;

export type ColorChunk = (typeof colorChunks)[number];

export const colorChunks = ['cICP', 'iCCP', 'sRGB', 'gAMA', 'cHRM'] as const;

/**
 * The color profile of a PNG, `undefined` for sRGB: from the first valid chunk of cICP, iCCP, sRGB,
 * and gAMA with cHRM. As in Chromium 156, gAMA alone is used and cHRM alone is not.
 */
export function profileOf(chunks: ColorChunks, hasColor: boolean): Buffer | undefined {
  const coded = readCoded(chunks.cICP);
  if (coded) return createProfile(coded, hasColor);
  const embedded = readEmbedded(chunks.iCCP);
  if (embedded) return embedded;
  if (chunks.sRGB || chunks.gAMA?.length !== 4) return undefined;
  const gamma = chunks.gAMA.readUInt32BE() / 100_000;
  const primaries = readPrimaries(chunks.cHRM);
  if (gamma === 0 || (!primaries && isAboutSrgb(gamma))) return undefined;
  return createProfile({ primaries: primaries ?? srgb, curve: { g: 1 / gamma } }, hasColor);
}

interface ColorSpace {
  primaries: Chromaticities;
  curve: Curve;
}

function createProfile({ primaries, curve }: ColorSpace, hasColor: boolean): Buffer | undefined {
  return hasColor ? createRgbProfile(primaries, curve) : createGrayProfile(curve);
}

/** Reads code points of ITU-T H.273; `undefined` for anything but full-range RGB. */
function readCoded(cicp: Buffer | undefined): ColorSpace | undefined {
  if (cicp?.length !== 4 || cicp[2] !== 0 || cicp[3] !== 1) return undefined;
  const primaries = primariesByCode[cicp[0]!];
  const curve = curvesByCode[cicp[1]!];
  return primaries && curve && { primaries, curve };
}

/**
 * Reads a name, a zero, a zero for deflate, then the profile; `undefined` for an unreadable one.
 */
function readEmbedded(iccp: Buffer | undefined): Buffer | undefined {
  const nameEnd = iccp?.indexOf(0) ?? 0;
  if (!iccp || nameEnd < 1 || iccp[nameEnd + 1] !== 0) return undefined;
  try {
    const compressed = iccp.subarray(nameEnd + 2);
    const profile = inflateSync(compressed, { maxOutputLength: MAX_PROFILE_BYTES });
    return isProfile(profile) ? withoutPipelines(profile) : undefined;
  } catch {
    return undefined;
  }
}

/** A printer's profile with three large tables has about 2 MB. */
const MAX_PROFILE_BYTES = 4_000_000;

function readPrimaries(chrm: Buffer | undefined): Chromaticities | undefined {
  if (chrm?.length !== 32) return undefined;
  return Array.from({ length: 8 }, (_, i) => chrm.readUInt32BE(4 * i) / 100_000);
}

/** Within 5 % of the exponent 1 / 2.2, which is libpng's tolerance. */
function isAboutSrgb(gamma: number): boolean {
  return Math.abs(gamma * 2.2 - 1) <= 0.05;
}

const D65 = [0.3127, 0.329];
const C = [0.31, 0.316];
const srgb = [...D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06];
const smpte170 = [...D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07];

const primariesByCode: Record<number, Chromaticities> = {
  1: srgb,
  4: [...C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08],
  5: [...D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06],
  6: smpte170,
  7: smpte170,
  8: [...C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049],
  9: [...D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046],
  11: [0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06],
  12: [...D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06],
  22: [...D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077],
};

/** BT.1886, the screen's curve for BT.709 and similar; not the camera's curve. */
const video = { g: 2.4 };

/** Without the HDR curves 16 and 18, whose white level depends on the screen. */
const curvesByCode: Record<number, Curve> = {
  1: video,
  4: { g: 2.2 },
  5: { g: 2.8 },
  6: video,
  7: { g: 1 / 0.45, a: 1 / 1.1115, b: 0.1115 / 1.1115, c: 1 / 4, d: 0.0912 },
  8: { g: 1 },
  11: video,
  13: { g: 2.4, a: 1 / 1.055, b: 0.055 / 1.055, c: 1 / 12.92, d: 0.04045 },
  14: video,
  15: video,
  // White is 48 cd/m² of projected light.
  17: { g: 2.6, a: (52.37 / 48) ** (1 / 2.6) },
};

/**
 * A copy of the PNG with only the chunks that the pixels need. Its color space becomes one iCCP
 * chunk, because the decoder reads only profiles.
 *
 * A decoder would also inflate compressed text: 50 KB become 50 MB. A truncated last chunk is kept,
 * so that the decoder refuses it.
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

/**
 * The first chunk of each type with a valid checksum, before the pixels; browsers ignore others.
 */
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
  const typed = Buffer.concat([Buffer.from('iCCPcolor\0\0'), deflateSync(profile)]);
  const chunk = Buffer.alloc(typed.length + 8);
  chunk.writeUInt32BE(typed.length - 4);
  typed.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(typed), typed.length + 4);
  return chunk;
}

/** Bytes of a chunk's length, type and checksum. */
const CHUNK_FRAME_BYTES = 12;
/** End of the signature and IHDR, which are copied unchanged. */
const HEADER_END = 8 + CHUNK_FRAME_BYTES + 13;

/** Chunks of pixels, palette and transparency. */
const pixelTypes = new Set(['PLTE', 'IDAT', 'IEND', 'tRNS'].map(toNumber));
const IDAT = toNumber('IDAT');
/** Contains the orientation. Browsers ignore it after the pixels. */
const EXIF = toNumber('eXIf');
const colorTypes = new Map<number, ColorChunk>(colorChunks.map((name) => [toNumber(name), name]));

function toNumber(type: string): number {
  return Buffer.from(type, 'latin1').readUInt32BE();
}
