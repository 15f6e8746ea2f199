import { LivegateError } from '../errors.js';

/** A progressive photo has about ten. Each scan is a pass over all blocks, even if it is empty. */
const MAX_SCANS = 100;
/** Color profiles and depth maps take up to about 250; the decoder allocates memory for each. */
const MAX_SEGMENTS = 1000;

/** The size of an image, in pixels. */
export interface ImageSize {
  width: number;
  height: number;
}

/** The work and memory of a decode, computed from the file's header and markers. */
export interface DecodeCost {
  /** Samples that a decoder visits: the sum over a JPEG's scans, or the bytes of a PNG's rows. */
  samples: number;
  /** Bytes that a decoder allocates in addition to the picture; 0 if it decodes row by row. */
  heldBytes: number;
}

export interface JpegHeader extends ImageSize {
  kind: 'jpeg';
  /** Gray 1, YCbCr or RGB 3, CMYK or YCCK 4. */
  components: number;
  /** Whether the file has an end marker. An accepted file without one still has all its scans. */
  hasEnd: boolean;
  cost: DecodeCost;
}

/** One marker and its data. The compressed data of a scan comes after the segment. */
export interface JpegSegment {
  code: number;
  /** Index of its 0xFF. */
  start: number;
  /** Index of its data, after the length. */
  dataStart: number;
  end: number;
}

/**
 * Reads the header of a JPEG by walking from marker to marker to its end.
 *
 * Throws `invalid_image`; for a variant that is not decoded, the message names the variant.
 */
export function readJpegHeader(jpeg: Uint8Array): JpegHeader {
  let frame: Frame | undefined;
  let samples = 0;
  let scans = 0;
  let hasEnd = false;
  for (const segment of walkJpeg(jpeg)) {
    refuseVariant(segment.code);
    if (frames.has(segment.code)) frame ??= readFrame(jpeg, segment);
    if (segment.code === EOI) hasEnd = true;
    if (segment.code !== SOS) continue;
    if (!frame) throw invalid('a JPEG with a scan before its frame');
    if (++scans > MAX_SCANS) throw tooMany(`${MAX_SCANS} scans`);
    samples += readScan(jpeg, segment, frame);
  }
  if (!frame || scans === 0) throw invalid('a JPEG without a picture');
  if (!hasEnd && !isComplete(frame)) throw invalid('a JPEG that ends before its last scan');
  const { width, height, components } = frame;
  const cost = { samples, heldBytes: frame.isHeld ? BYTES_A_COEFFICIENT * sum(components) : 0 };
  return { kind: 'jpeg', width, height, components: components.length, hasEnd, cost };
}

/**
 * Yields the segments up to and including the end marker, or up to the end of the file.
 *
 * Skips padding and garbage between segments as the decoder does, so it misses no scan that the
 * decoder would run. Throws `invalid_image` for a truncated segment or for too many segments.
 */
export function* walkJpeg(jpeg: Uint8Array): Generator<JpegSegment> {
  let segments = 0;
  for (let at = findMarker(jpeg, 2); at < jpeg.length;) {
    const code = jpeg[at]!;
    const hasData = code !== EOI;
    const end = hasData ? segmentEnd(jpeg, at) : at + 1;
    if (hasData && ++segments > MAX_SEGMENTS) throw tooMany(`${MAX_SEGMENTS} segments`);
    yield { code, start: at - 1, dataStart: Math.min(at + 3, end), end };
    if (!hasData) return;
    at = findMarker(jpeg, end);
  }
}

const SOF2 = 0xc2;
const EOI = 0xd9;
const SOS = 0xda;

/** Bytes that a decoder allocates for each coefficient of the compressed picture. */
const BYTES_A_COEFFICIENT = 2;

/** Bytes after a 0xFF that are looked at one by one. A photo's next 0xFF is some 250 bytes away. */
const NEAR_BYTES = 32;

/**
 * The index of the next marker's code, which is the byte after its 0xFF; the file's length after
 * the last marker.
 *
 * `indexOf` is ten times faster than a loop where 0xFF is rare, and far slower on a file that is full
 * of it: the loop in between limits its calls.
 */
function findMarker(jpeg: Uint8Array, from: number): number {
  for (let start = from; start >= 0; start = jpeg.indexOf(0xff, start + NEAR_BYTES)) {
    const end = Math.min(start + NEAR_BYTES, jpeg.length - 1);
    for (let at = start; at < end; at++) {
      if (jpeg[at] === 0xff && opensSegment(jpeg[at + 1]!)) return at + 1;
    }
  }
  return jpeg.length;
}

/**
 * False for a stuffed 0x00, a reserved code, a restart inside a scan, a start of image, or padding.
 */
function opensSegment(code: number): boolean {
  return code >= 0xc0 && (code < 0xd0 || code > 0xd8) && code < 0xff;
}

/** A segment's length includes its own two bytes, but not the marker. */
function segmentEnd(jpeg: Uint8Array, marker: number): number {
  const end = marker + 1 + Math.max(2, readUint16(jpeg, marker + 1));
  if (end > jpeg.length) throw invalid('a JPEG that ends inside a segment');
  return end;
}

/** Frames of Huffman-coded blocks: baseline, extended and progressive. */
const frames = new Set([0xc0, 0xc1, SOF2]);

/** Refused variants, by marker. Their decoders are rare or slow, and no browser shows them. */
const variants: Record<number, string> = {
  0xc3: 'a lossless JPEG',
  0xc5: 'a hierarchical JPEG',
  0xc6: 'a hierarchical JPEG',
  0xc7: 'a hierarchical JPEG',
  0xc9: 'a JPEG with arithmetic coding',
  0xca: 'a JPEG with arithmetic coding',
  0xcb: 'a lossless JPEG',
  0xcc: 'a JPEG with arithmetic coding',
  0xcd: 'a hierarchical JPEG',
  0xce: 'a hierarchical JPEG',
  0xcf: 'a hierarchical JPEG',
  0xde: 'a hierarchical JPEG',
  0xf7: 'a JPEG-LS',
};

function refuseVariant(code: number): void {
  const variant = variants[code];
  if (variant) throw unsupported(variant);
}

interface Frame extends ImageSize {
  components: Component[];
  isProgressive: boolean;
  /** Whether a decoder keeps all coefficients in memory until it has read the last scan. */
  isHeld: boolean;
}

interface Component {
  id: number;
  samples: number;
  /** For each of the 64 coefficients, the lowest bit that a scan has given; 0 is complete. */
  lowestBits: Uint8Array;
}

/** Reads bits per sample, height and width; then id, sampling and table of each component. */
function readFrame(jpeg: Uint8Array, { code, dataStart, end }: JpegSegment): Frame {
  const bits = jpeg[dataStart];
  const height = readUint16(jpeg, dataStart + 1);
  const width = readUint16(jpeg, dataStart + 3);
  const count = jpeg[dataStart + 5]!;
  if (end - dataStart < 6 + 3 * count) throw invalid('a JPEG with a cut frame');
  if (bits !== 8) throw unsupported(`a JPEG of ${bits} bits a sample`);
  if (width === 0) throw invalid('a JPEG without pixels');
  if (height === 0) throw unsupported('a JPEG with its height after its pixels');
  if (![1, 3, 4].includes(count)) throw unsupported(`a JPEG of ${count} components`);
  const components = readComponents(jpeg.subarray(dataStart + 6, end), { width, height }, count);
  const isProgressive = code === SOF2;
  return { width, height, components, isProgressive, isHeld: isProgressive };
}

function readComponents(fields: Uint8Array, size: ImageSize, count: number): Component[] {
  const sampled = Array.from({ length: count }, (_, i) => {
    const factors = fields[3 * i + 1]!;
    return { id: fields[3 * i]!, across: factors >> 4, down: factors & 15 };
  });
  if (sampled.some(({ across, down }) => [across, down].some((f) => f < 1 || f > 4))) {
    throw invalid('a JPEG with impossible sampling');
  }
  // One unit of a scan has one block of the least sampled component and up to 16 of another.
  const unitsAcross = Math.ceil(size.width / (8 * Math.max(...sampled.map((c) => c.across))));
  const unitsDown = Math.ceil(size.height / (8 * Math.max(...sampled.map((c) => c.down))));
  return sampled.map(({ id, across, down }) => ({
    id,
    samples: 64 * across * unitsAcross * down * unitsDown,
    lowestBits: new Uint8Array(64).fill(UNKNOWN),
  }));
}

const UNKNOWN = 255;

/** Records the bits that a scan adds to the frame. Returns the samples that a decoder visits. */
function readScan(jpeg: Uint8Array, { dataStart, end }: JpegSegment, frame: Frame): number {
  const count = jpeg[dataStart]!;
  const parameters = dataStart + 1 + 2 * count;
  if (end < parameters + 3) throw invalid('a JPEG with a cut scan header');
  const ids = new Set(Array.from({ length: count }, (_, i) => jpeg[dataStart + 1 + 2 * i]));
  const scanned = frame.components.filter(({ id }) => ids.has(id));
  // With separate scans the decoder must read them all before it has a pixel.
  if (scanned.length < frame.components.length) frame.isHeld = true;
  const [from, to, bits] = jpeg.subarray(parameters) as unknown as ScanParameters;
  for (const { lowestBits } of scanned) {
    if (frame.isProgressive) lowestBits.fill(bits & 15, from, to + 1);
    // A baseline scan does not use the parameters, and some phones write zeros there.
    else lowestBits.fill(0);
  }
  return sum(scanned);
}

/** The first and last coefficient of a scan; its highest and lowest bit, of four bits each. */
type ScanParameters = [from: number, to: number, bits: number];

function sum(components: Component[]): number {
  return components.reduce((total, { samples }) => total + samples, 0);
}

/** Whether the scans contain every bit of every coefficient. */
function isComplete({ components }: Frame): boolean {
  return components.every(({ lowestBits }) => lowestBits.every((bit) => bit === 0));
}

/** Big-endian; bytes after the end of the file read as 0. */
function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function invalid(detail: string): LivegateError {
  return new LivegateError('invalid_image', { detail });
}

/** The file may be valid, so the message names the limit. */
function tooMany(limit: string): LivegateError {
  const publicMessage = `the image is a JPEG of more than ${limit}`;
  return new LivegateError('invalid_image', { publicMessage });
}

function unsupported(variant: string): LivegateError {
  const publicMessage = `the image is ${variant}, send a baseline or progressive JPEG of 8 bits`;
  return new LivegateError('invalid_image', { publicMessage });
}
