import {
  type ImageHeader,
  type JpegHeader,
  type JpegSegment,
  type PngHeader,
  walkJpeg,
} from '@livegate/core/domain';
import type { DecodeTask } from './decode-pixels.js';
import { isProfile, withoutPipelines } from './icc-profile.js';
import { stripPng } from './prepare-png.js';

/**
 * The decoder's input: a file without the parts that the pixels do not need, and how to decode it.
 */
export interface PreparedImage {
  file: Uint8Array;
  task: DecodeTask;
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
  return { file: stripPng(bytes, hasColor), failOn: 'error', firstTo } as const;
}

function fromJpeg(bytes: Uint8Array, header: JpegHeader) {
  const { file, hasInkProfile } = prepareJpeg(bytes, header);
  // 'error' tolerates warnings: some phones' selfie cameras write JPEGs with invalid scan
  // parameters that every viewer shows. With an end marker of ours, missing data is only a warning,
  // so refuse it.
  const failOn = header.hasEnd ? 'error' : 'warning';
  const firstTo = header.components === 4 && !hasInkProfile ? 'cmyk' : undefined;
  return { file, failOn, firstTo } as const;
}

/** A JPEG for the decoder. */
export interface PreparedJpeg {
  file: Uint8Array;
  /** Whether it has a CMYK profile. */
  hasInkProfile: boolean;
}

/** Adds a missing end marker, and hides the costly pipelines of a color profile. */
export function prepareJpeg(jpeg: Uint8Array, { hasEnd }: JpegHeader): PreparedJpeg {
  const chunks = findProfileChunks(jpeg);
  const hasInkProfile = isProfile(readProfile(jpeg, chunks), 'CMYK');
  const harmless = hidePipelines(jpeg, chunks);
  return { file: hasEnd ? harmless : Buffer.concat([harmless, END]), hasInkProfile };
}

const END = Buffer.from('ffd9', 'hex');

interface ProfileChunk extends JpegSegment {
  /** A profile is split into up to 255 segments in any order; this is the segment's number. */
  number: number;
  profileStart: number;
}

/** In the order in which libvips joins them: by number, the last of each before the first scan. */
function findProfileChunks(jpeg: Uint8Array): ProfileChunk[] {
  const chunks: ProfileChunk[] = [];
  for (const segment of walkJpeg(jpeg)) {
    if (segment.code === SOS) break;
    const profileStart = segment.dataStart + PROFILE_MARK.length + 3;
    if (segment.code !== APP2 || segment.end < profileStart || !isMarked(jpeg, segment)) continue;
    chunks.push({ ...segment, number: jpeg[profileStart - 2]!, profileStart });
  }
  const byNumber = new Map(chunks.map((chunk) => [chunk.number, chunk]));
  return [...byNumber.values()].toSorted((a, b) => a.number - b.number);
}

function isMarked(jpeg: Uint8Array, { dataStart }: JpegSegment): boolean {
  const mark = jpeg.subarray(dataStart, dataStart + PROFILE_MARK.length);
  return PROFILE_MARK.equals(mark);
}

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
