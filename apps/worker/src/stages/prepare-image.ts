import type { ImageHeader, JpegHeader, PngHeader } from '@livegate/core';
import type { DecodeTask } from './decode-pixels.js';
import { prepareJpeg } from './prepare-jpeg.js';
import { stripPng } from './strip-png.js';

/** What the decoder is given: a file with nothing in it that it need not read, and how to read it. */
export interface PreparedImage {
  file: Uint8Array;
  task: DecodeTask;
}

/** Such that the decoder shows the image as a browser does. */
export function prepareImage(bytes: Uint8Array, header: ImageHeader): PreparedImage {
  const pixels = header.width * header.height;
  const { file, ...task } =
    header.kind === 'png' ? fromPng(bytes, header) : fromJpeg(bytes, header);
  return { file, task: { pixels, ...task } };
}

function fromPng(bytes: Uint8Array, { bitDepth, hasColor }: PngHeader) {
  // To 8 bits before the profile is applied, as browsers do: libvips converts no 16 bits to sRGB.
  const firstTo = bitDepth === 16 ? (hasColor ? 'srgb' : 'b-w') : undefined;
  return { file: stripPng(bytes, hasColor), failOn: 'error', firstTo } as const;
}

function fromJpeg(bytes: Uint8Array, header: JpegHeader) {
  const { file, hasInkProfile } = prepareJpeg(bytes, header);
  // 'error' does not refuse mere warnings: some phones' selfie cameras write JPEGs with invalid scan
  // parameters that every viewer shows. Missing data are a warning, too, before an end of our own.
  const failOn = header.hasEnd ? 'error' : 'warning';
  const firstTo = header.components === 4 && !hasInkProfile ? 'cmyk' : undefined;
  return { file, failOn, firstTo } as const;
}
