const MIN_CAPACITY_BYTES = 64 * 1024;

/**
 * Puts pieces into one buffer as they come. Of the expected size, memory is used only as far as
 * bytes were written; where more come than that, the buffer doubles.
 */
export function createByteCollector(expectedBytes: number) {
  let buffer = Buffer.allocUnsafeSlow(Math.max(expectedBytes, MIN_CAPACITY_BYTES));
  let length = 0;

  return {
    add(piece: Uint8Array): void {
      const needed = length + piece.length;
      if (needed > buffer.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * buffer.length));
        larger.set(buffer.subarray(0, length));
        buffer = larger;
      }
      buffer.set(piece, length);
      length = needed;
    },
    /** A view: it keeps the whole buffer. */
    take: (): Buffer => buffer.subarray(0, length),
  };
}
