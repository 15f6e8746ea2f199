/**
 * The PNG with nothing in it but what the pixels need; the rest of the file is not copied.
 *
 * A decoder inflates compressed text that nobody reads: 50 KB of it become 50 MB. A cut last chunk
 * stays as it is, for the decoder to refuse.
 */
export function stripPng(png: Uint8Array): Uint8Array {
  const source = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  const stripped = Buffer.allocUnsafe(source.length);
  let length = source.copy(stripped, 0, 0, SIGNATURE_BYTES);
  let at = SIGNATURE_BYTES;
  while (at + CHUNK_FRAME_BYTES <= source.length) {
    const end = at + CHUNK_FRAME_BYTES + source.readUInt32BE(at);
    if (keptTypes.has(source.readUInt32BE(at + 4)))
      length += source.copy(stripped, length, at, end);
    at = end;
  }
  return stripped.subarray(0, length);
}

const SIGNATURE_BYTES = 8;
/** A chunk's length, type and checksum. */
const CHUNK_FRAME_BYTES = 12;

/** The pixels, their transparency, their colours, and in eXIf which side is up. */
const keptTypes = new Set(
  ['IHDR', 'PLTE', 'IDAT', 'IEND', 'tRNS', 'cHRM', 'gAMA', 'iCCP', 'sRGB', 'eXIf'].map((type) =>
    Buffer.from(type, 'latin1').readUInt32BE(),
  ),
);
