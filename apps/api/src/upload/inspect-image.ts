import { imageKind, inspectHeader, LivegateError } from '@livegate/core/domain';
import { fileTypeFromBuffer } from 'file-type';

/**
 * Decides by the bytes alone whether the image may be decoded at all. Decodes nothing.
 *
 * Throws `invalid_image`, `unsupported_image_type` or `image_dimensions_exceeded`.
 */
export async function inspectImage(bytes: Uint8Array, maxImagePixels: number): Promise<void> {
  if (!imageKind(bytes)) throw refuseKind(await nameKind(bytes));
  inspectHeader(bytes, maxImagePixels);
}

/** Pictures that a caller may send by mistake; they are named in the refusal. */
const documentsAndPictures = /^image\/|^application\/pdf$/;
/** A name for a file that only holds a JPEG or PNG, behind an ID3 tag for example. */
const accepted = /^image\/(?:jpeg|a?png)$/;

function refuseKind(kind: string): LivegateError {
  if (!documentsAndPictures.test(kind) || accepted.test(kind)) {
    return new LivegateError('invalid_image');
  }
  return new LivegateError('unsupported_image_type', {
    publicMessage: `only JPEG and PNG images are supported, this is ${kind}`,
  });
}

/** From the first bytes, so that no archive keeps the gateway busy with what is inside it. */
async function nameKind(bytes: Uint8Array): Promise<string> {
  const start = bytes.subarray(0, START_BYTES);
  if (isSvg(start)) return 'image/svg+xml';
  const known = await fileTypeFromBuffer(start);
  return known?.mime ?? (isTiff(start) ? 'image/tiff' : '');
}

/** What `file-type` wants to see for all but a few kinds. */
const START_BYTES = 4100;

/** SVG is text without magic bytes: markup whose root element comes soon. */
function isSvg(start: Uint8Array): boolean {
  const text = decodeText(start).trimStart();
  return text.startsWith('<') && /<svg[\s>]/.test(text);
}

/** By the byte order mark, which is no part of the text. */
function decodeText(start: Uint8Array): string {
  const mark = Buffer.from(start.subarray(0, 2)).toString('hex');
  const encoding = { fffe: 'utf-16le', feff: 'utf-16be' }[mark] ?? 'utf-8';
  return new TextDecoder(encoding).decode(start);
}

/** Most TIFFs end with the directory by which `file-type` tells what kind of TIFF they are. */
function isTiff(start: Uint8Array): boolean {
  return /^(?:49492a00|4d4d002a)/.test(Buffer.from(start.subarray(0, 4)).toString('hex'));
}
