import { LivegateError } from '../errors.js';
import {
  type DecodeCost,
  type ImageSize,
  type JpegHeader,
  readJpegHeader,
} from './image-header-jpeg.js';

/** The accepted image formats. */
export type ImageKind = ImageHeader['kind'];

/** What a file declares before any pixel is decoded. */
export type ImageHeader = JpegHeader | PngHeader;

/** The format by the file's first bytes, as decoders decide it; `undefined` for other formats. */
export function imageKind(bytes: Uint8Array): ImageKind | undefined {
  if (startsWith(bytes, jpegSignature)) return 'jpeg';
  return startsWith(bytes, pngSignature) ? 'png' : undefined;
}

/**
 * Inspects a JPEG or PNG without decoding it, in at most one pass over the bytes. It uses no
 * library, because a library may inflate or allocate what the file asks for.
 *
 * Throws `invalid_image` or `image_dimensions_exceeded`.
 */
export function inspectHeader(bytes: Uint8Array, maxImagePixels: number): ImageHeader {
  const kind = imageKind(bytes);
  if (!kind) throw new LivegateError('invalid_image', { detail: 'neither a JPEG nor a PNG' });
  const header = kind === 'jpeg' ? readJpegHeader(bytes) : readPngHeader(bytes);
  requireImagePixels(header, maxImagePixels);
  requireDecodeCost(header.cost);
  return header;
}

const jpegSignature = [0xff, 0xd8, 0xff];
const pngSignature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

function startsWith(bytes: Uint8Array, signature: number[]): boolean {
  return signature.every((byte, i) => bytes[i] === byte);
}

/** The largest image that is accepted. */
export interface ImageLimits {
  /** Largest accepted file, in bytes. */
  maxImageBytes: number;
  /** Largest accepted picture, in pixels (width times height). */
  maxImagePixels: number;
}

/**
 * Most samples that the scans of a JPEG may visit. A photo of 52 megapixels in the ten scans that
 * libjpeg writes has 730 million, or 1250 million as CMYK. One sample takes a core 1.2 ns at most.
 */
const MAX_SAMPLES = 1_300_000_000;

/**
 * Most pixels on one side; no camera has as many. A decoder works row by row, so a picture that is
 * one pixel wide takes it half a minute within the limit on width times height.
 */
const MAX_SIDE = 20_000;

/** Throws `empty_image` or `image_too_large`. */
export function requireImageBytes(bytes: Uint8Array, limits: ImageLimits): void {
  if (bytes.length === 0) throw new LivegateError('empty_image');
  if (bytes.length > limits.maxImageBytes) throw imageTooLarge(limits);
}

/** Throws `image_dimensions_exceeded`: a tiny file can declare a picture that fills the memory. */
function requireImagePixels({ width, height }: ImageSize, maxImagePixels: number): void {
  if (Math.max(width, height) > MAX_SIDE) {
    throw dimensionsExceeded(`a side of more than ${MAX_SIDE} pixels`, { width, height });
  }
  if (width * height > maxImagePixels) {
    throw dimensionsExceeded(`more than ${maxImagePixels} pixels`, { width, height });
  }
}

/** Throws the error of `tooCostly`. */
function requireDecodeCost({ samples }: DecodeCost): void {
  if (samples > MAX_SAMPLES) throw tooCostly(`${samples} samples in its scans`);
}

/** `invalid_image` with a reason for the caller, because the image may be valid. */
export function tooCostly(detail: string): LivegateError {
  const publicMessage =
    'the image takes longer to decode than a photo does, send fewer pixels or a baseline JPEG';
  return new LivegateError('invalid_image', { publicMessage, detail });
}

/** `image_too_large`, with the limit in its message. */
export function imageTooLarge(limits: ImageLimits): LivegateError {
  return new LivegateError('image_too_large', {
    publicMessage: `the image has more than ${limits.maxImageBytes} bytes`,
  });
}

function dimensionsExceeded(excess: string, { width, height }: ImageSize): LivegateError {
  return new LivegateError('image_dimensions_exceeded', {
    publicMessage: `the image has ${excess}`,
    detail: `${width}x${height}`,
  });
}

export interface PngHeader extends ImageSize {
  kind: 'png';
  /** Bits per channel. */
  bitDepth: number;
  /** False for gray, with or without alpha. */
  hasColor: boolean;
  cost: DecodeCost;
}

/** Reads the header of a PNG, whose first chunk must be IHDR. Throws `invalid_image`. */
export function readPngHeader(png: Uint8Array): PngHeader {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  if (png.length >= HEADER_END && view.getUint32(12) === CGBI) {
    throw unsupported('a PNG in Apple’s CgBI form');
  }
  if (png.length < HEADER_END || view.getUint32(8) !== 13 || view.getUint32(12) !== IHDR) {
    throw invalid('a PNG that does not open with IHDR');
  }
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  if (width === 0 || height === 0) throw invalid('a PNG without pixels');
  const [bitDepth, colorType, , , interlace] = png.subarray(24, 29) as unknown as Fields;
  const form = colorForms[colorType];
  if (!form?.bitDepths.includes(bitDepth) || interlace > 1) throw invalid('a PNG of no known kind');
  // Each row starts with one byte for its filter.
  const samples = height * (1 + Math.ceil((width * form.channels * bitDepth) / 8));
  const cost = { samples, heldBytes: interlace ? samples : 0 };
  if (cost.heldBytes > MAX_HELD_BYTES) {
    throw unsupported(`an interlaced PNG of more than ${MAX_HELD_BYTES} bytes of pixels`);
  }
  return {
    kind: 'png',
    width,
    height,
    bitDepth,
    hasColor: colorType !== 0 && colorType !== 4,
    cost,
  };
}

type Fields = [bitDepth: number, colorType: number, method: number, filter: number, lace: number];

interface ColorForm {
  channels: number;
  bitDepths: number[];
}

/** By color type: gray, RGB, palette, gray with alpha, RGB with alpha. */
const colorForms: Record<number, ColorForm> = {
  0: { channels: 1, bitDepths: [1, 2, 4, 8, 16] },
  2: { channels: 3, bitDepths: [8, 16] },
  3: { channels: 1, bitDepths: [1, 2, 4, 8] },
  4: { channels: 2, bitDepths: [8, 16] },
  6: { channels: 4, bitDepths: [8, 16] },
};

/** The signature, then a chunk of 13 bytes with its length, type and checksum. */
const HEADER_END = 8 + 12 + 13;
const IHDR = 0x49484452;
/** The PNG variant that Xcode writes into apps; no browser shows it. */
const CGBI = 0x43674249;

/**
 * Most bytes of an interlaced PNG, which a decoder must read whole before its first row: 52
 * megapixels of 8-bit RGBA. With 16 bits it would take twice as much, and no camera writes one.
 */
const MAX_HELD_BYTES = 210_000_000;

function unsupported(variant: string): LivegateError {
  const publicMessage = `the image is ${variant}, send a plain PNG`;
  return new LivegateError('invalid_image', { publicMessage });
}

function invalid(detail: string): LivegateError {
  return new LivegateError('invalid_image', { detail });
}
