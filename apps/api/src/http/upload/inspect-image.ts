import { imageKind, inspectHeader, LivegateError } from '@livegate/core/domain';
import { fileTypeFromBuffer } from 'file-type';

/**
 * Decides from the bytes, without decoding them, whether the image may be decoded.
 *
 * Throws `invalid_image`, `unsupported_image_type` or `image_dimensions_exceeded`.
 */
export async function inspectImage(bytes: Uint8Array, maxImagePixels: number): Promise<void> {
  if (!imageKind(bytes)) throw refuseKind(await nameKind(bytes));
  inspectHeader(bytes, maxImagePixels);
}

/** Kinds of file that callers send by mistake; the refusal names them. */
const namedKinds = /^image\/|^application\/pdf$/;
/** Reported for files that merely contain a JPEG or PNG, for example behind an ID3 tag. */
const acceptedKinds = /^image\/(?:jpeg|a?png)$/;

function refuseKind(kind: string): LivegateError {
  if (!namedKinds.test(kind) || acceptedKinds.test(kind)) {
    return new LivegateError('invalid_image');
  }
  return new LivegateError('unsupported_image_type', {
    publicMessage: `only JPEG and PNG images are supported, this is ${kind}`,
  });
}

/** Reads only the first bytes, so that `file-type` does not search through an archive. */
async function nameKind(bytes: Uint8Array): Promise<string> {
  const start = bytes.subarray(0, START_BYTES);
  if (isSvg(start)) return 'image/svg+xml';
  const known = await fileTypeFromBuffer(start);
  return known?.mime ?? (isTiff(start) ? 'image/tiff' : '');
}

/** The sample size that `file-type` recommends; only a few kinds need more. */
const START_BYTES = 4100;

/** SVG has no magic bytes: it is markup whose root element is near the start. */
function isSvg(start: Uint8Array): boolean {
  const text = decodeText(start).trimStart();
  return text.startsWith('<') && /<svg[\s>]/.test(text);
}

/** Decodes by the byte order mark, and drops the mark. */
function decodeText(start: Uint8Array): string {
  const mark = Buffer.from(start.subarray(0, 2)).toString('hex');
  const encoding = { fffe: 'utf-16le', feff: 'utf-16be' }[mark] ?? 'utf-8';
  return new TextDecoder(encoding).decode(start);
}

/** `file-type` needs a TIFF's directory to name it, which is usually at the end of the file. */
function isTiff(start: Uint8Array): boolean {
  return /^(?:49492a00|4d4d002a)/.test(Buffer.from(start.subarray(0, 4)).toString('hex'));
}
