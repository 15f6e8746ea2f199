import {
  type ImageHeader,
  type JpegHeader,
  type JpegSegment,
  LivegateError,
  type PngHeader,
  type Rotation,
  walkJpeg,
} from '@livegate/core/domain';
import { fromRows, mirrorPicture, type Picture, turnPicture } from '../picture.js';
import { createDecodeApart } from './decode-apart.js';
import {
  type DecodedRows,
  decodePixels,
  isOurFault,
  type PreparedImage,
  toMovable,
} from './decode-pixels.js';
import { isProfile, isSrgb, withoutPipelines } from './icc-profile.js';
import { stripPng } from './prepare-png.js';
import { decoderPower } from './shrink-on-load.js';

/**
 * Most samples that a decoder may visit in this process, about a second of a core. A baseline JPEG
 * of 52 megapixels has 160 million, a progressive one of 25 megapixels has 350 million.
 */
const MAX_SAMPLES_HERE = 400_000_000;

/** Most bytes that a decoder may allocate in this process, which frees them with a delay. */
const MAX_HELD_HERE = 100_000_000;

/** A decode in this process takes about 1 s; after this time it is starved of CPU. */
const TIMEOUT_SECONDS = 10;

/** Memory of a decode process with Node.js and libvips, without the image. */
const PROCESS_BYTES = 80_000_000;

export type DecodeImage = (
  bytes: Uint8Array,
  header: ImageHeader,
  /** By which each side is divided: see shrink-on-load.ts. Default: 1. */
  factor?: number,
) => Promise<Picture>;

/**
 * Decodes a JPEG or PNG to upright 8-bit sRGB pixels. `header` is the result of `inspectHeader`.
 * Throws LivegateError `invalid_image`, or another Error if the image is not at fault.
 *
 * Images that may take long are decoded in a child process, because a decoder within its scans can
 * only be killed. Other images are not: in a child process a photo of 12 megapixels takes three
 * times as long.
 */
export function createDecodeImage(cpus: number): DecodeImage {
  const decodeApart = createDecodeApart(cpus);
  return async (bytes, header, factor = 1) => {
    const { file, task } = prepareImage(bytes, header);
    if (factor === 1) return putUpright(await decode({ file, task }, header));
    const side = Math.max(header.width, header.height);
    const shrunk = { ...task, longerSide: Math.floor(side / factor) };
    const picture = putUpright(await decode({ file, task: shrunk }, header));
    return { ...picture, shrunkBy: side / Math.max(picture.width, picture.height) };
  };

  function decode(prepared: PreparedImage, header: ImageHeader): Promise<DecodedRows> {
    return isDecodedApart(header) ? decodeApart(prepared) : decodeHere(prepared);
  }
}

/**
 * Peak memory of a decode in bytes: the picture, and the decoder's buffers or the picture's copy.
 * The buffers of a shrunk picture are those of the decoder and what it has shrunk by a power of two.
 */
export function decodeBytes(header: ImageHeader, factor = 1): number {
  const bytesAt = (divisor: number) =>
    ((isCmyk(header) ? 4 : 3) * header.width * header.height) / divisor ** 2;
  const pictureBytes = bytesAt(factor);
  const shrunkBytes = factor > 1 ? bytesAt(decoderPower(factor)) : 0;
  const bufferBytes = header.cost.heldBytes + shrunkBytes;
  const processBytes = isDecodedApart(header) ? PROCESS_BYTES : 0;
  return pictureBytes + Math.max(bufferBytes, pictureBytes) + processBytes;
}

/** CMYK counts eightfold: its conversion uses a large table, or a loop on the main thread. */
export function isDecodedApart(header: ImageHeader): boolean {
  const { samples, heldBytes } = header.cost;
  return samples * (isCmyk(header) ? 8 : 1) > MAX_SAMPLES_HERE || heldBytes > MAX_HELD_HERE;
}

function isCmyk(header: ImageHeader): boolean {
  return header.kind === 'jpeg' && header.components === 4;
}

async function decodeHere({ file, task }: PreparedImage): Promise<DecodedRows> {
  try {
    return toMovable(await decodePixels(file, task, TIMEOUT_SECONDS));
  } catch (cause) {
    if (isOurFault(cause)) throw cause;
    throw new LivegateError('invalid_image', { detail: 'the pixels cannot be decoded', cause });
  }
}

/** What EXIF's orientation says: mirror the pixels, then turn them clockwise. */
const orientations: Record<number, { isMirrored?: true; rotation: Rotation }> = {
  1: { rotation: 0 },
  2: { isMirrored: true, rotation: 0 },
  3: { rotation: 180 },
  4: { isMirrored: true, rotation: 180 },
  5: { isMirrored: true, rotation: 270 },
  6: { rotation: 90 },
  7: { isMirrored: true, rotation: 90 },
  8: { rotation: 270 },
};

function putUpright({ orientation, ...rows }: DecodedRows): Picture {
  const { isMirrored, rotation } = orientations[orientation] ?? { rotation: 0 };
  const picture = fromRows(rows);
  return turnPicture(isMirrored ? mirrorPicture(picture) : picture, rotation);
}

/** Prepares a file so that the decoder renders it as a browser does. */
export function prepareImage(bytes: Uint8Array, header: ImageHeader): PreparedImage {
  const pixels = header.width * header.height;
  const { file, ...task } =
    header.kind === 'png' ? fromPng(bytes, header) : fromJpeg(bytes, header);
  return { file, task: { pixels, ...task } };
}

function fromPng(bytes: Uint8Array, { bitDepth, hasColor }: PngHeader) {
  // Convert to 8 bits before applying the profile, as browsers do: libvips cannot convert 16 bits
  // to sRGB.
  const firstTo = bitDepth === 16 ? (hasColor ? 'srgb' : 'b-w') : undefined;
  return { file: stripPng(bytes, hasColor), failOn: 'error', firstTo, mayBeTurned: true } as const;
}

function fromJpeg(bytes: Uint8Array, header: JpegHeader) {
  const { file, hasInkProfile, hasSrgbProfile, mayBeTurned } = prepareJpeg(bytes, header);
  // 'error' tolerates warnings: some phones' selfie cameras write JPEGs with invalid scan
  // parameters that every viewer shows. With an end marker of ours, missing data is only a warning,
  // so refuse it.
  const failOn = header.hasEnd ? 'error' : 'warning';
  const firstTo = header.components === 4 && !hasInkProfile ? 'cmyk' : undefined;
  // Applying a profile takes longer than decoding.
  const ignoresProfile = header.components === 3 && hasSrgbProfile;
  return { file, failOn, firstTo, ignoresProfile, mayBeTurned } as const;
}

/** A JPEG for the decoder. */
interface PreparedJpeg {
  file: Uint8Array;
  /** Whether it has a CMYK profile. */
  hasInkProfile: boolean;
  hasSrgbProfile: boolean;
  /** Whether it has EXIF, or other metadata in the same kind of segment. */
  mayBeTurned: boolean;
}

/** Adds a missing end marker, and hides the costly pipelines of a color profile. */
function prepareJpeg(jpeg: Uint8Array, { hasEnd }: JpegHeader): PreparedJpeg {
  const segments = findHeaderSegments(jpeg);
  const chunks = findProfileChunks(jpeg, segments);
  const profile = readProfile(jpeg, chunks);
  const harmless = chunks.length > 0 ? hidePipelines(jpeg, chunks) : jpeg;
  return {
    file: hasEnd ? harmless : Buffer.concat([harmless, END]),
    hasInkProfile: isProfile(profile, 'CMYK'),
    hasSrgbProfile: isSrgb(profile),
    mayBeTurned: segments.some(({ code }) => code === APP1),
  };
}

const END = Buffer.from('ffd9', 'hex');

interface ProfileChunk extends JpegSegment {
  /** A profile is split into up to 255 segments in any order; this is the segment's number. */
  number: number;
  profileStart: number;
}

/** The segments before the first scan: libvips reads no profile and no EXIF after it. */
function findHeaderSegments(jpeg: Uint8Array): JpegSegment[] {
  const segments: JpegSegment[] = [];
  for (const segment of walkJpeg(jpeg)) {
    if (segment.code === SOS) break;
    segments.push(segment);
  }
  return segments;
}

/** In the order in which libvips joins them: by number, the last segment of each. */
function findProfileChunks(jpeg: Uint8Array, segments: JpegSegment[]): ProfileChunk[] {
  const chunks = segments.flatMap((segment) => {
    const profileStart = segment.dataStart + PROFILE_MARK.length + 3;
    if (segment.code !== APP2 || segment.end < profileStart || !isMarked(jpeg, segment)) return [];
    return [{ ...segment, number: jpeg[profileStart - 2]!, profileStart }];
  });
  const byNumber = new Map(chunks.map((chunk) => [chunk.number, chunk]));
  return [...byNumber.values()].toSorted((a, b) => a.number - b.number);
}

function isMarked(jpeg: Uint8Array, { dataStart }: JpegSegment): boolean {
  const mark = jpeg.subarray(dataStart, dataStart + PROFILE_MARK.length);
  return PROFILE_MARK.equals(mark);
}

/** Contains EXIF, or other metadata. */
const APP1 = 0xe1;
const APP2 = 0xe2;
const SOS = 0xda;
/** Followed by a zero, which libvips ignores, the segment's number, and the number of segments. */
const PROFILE_MARK = Buffer.from('ICC_PROFILE', 'latin1');

function readProfile(jpeg: Uint8Array, chunks: ProfileChunk[]): Buffer {
  return Buffer.concat(chunks.map(({ profileStart, end }) => jpeg.subarray(profileStart, end)));
}

/** Returns a copy if something is hidden. The profile keeps its length. */
function hidePipelines(jpeg: Uint8Array, chunks: ProfileChunk[]): Uint8Array {
  const profile = readProfile(jpeg, chunks);
  const harmless = withoutPipelines(profile);
  if (harmless === profile) return jpeg;
  const copy = Buffer.from(jpeg);
  let at = 0;
  for (const { profileStart, end } of chunks) {
    at += harmless.copy(copy, profileStart, at, at + end - profileStart);
  }
  return copy;
}
