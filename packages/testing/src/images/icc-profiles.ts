// ICC profiles made of their tags, without an encoder.
import { uint32s } from './png-chunks.js';

export type IccTag = [name: string, data: Buffer];

/** A profile of a color space and a connection space, whose data follow the table of the tags. */
export function iccProfile(tags: IccTag[], spaces = 'RGB XYZ '): Buffer {
  const header = Buffer.alloc(128);
  header.write(spaces, 16);
  header.write('acsp', 36);
  let at = 132 + 12 * tags.length;
  const table = tags.flatMap(([name, data]) => {
    const entry = [Buffer.from(name), uint32s(at, data.length)];
    at += data.length;
    return entry;
  });
  header.writeUInt32BE(at);
  const data = tags.map(([, bytes]) => bytes);
  return Buffer.concat([header, uint32s(tags.length), ...table, ...data]);
}

/** The data of an XYZ tag. */
export function xyzTag(...values: number[]): Buffer {
  return Buffer.concat([Buffer.from('XYZ \0\0\0\0'), fixeds(values)]);
}

/** The data of a parametric curve of a type, 0 to 4. */
export function curveTag(type: number, ...values: number[]): Buffer {
  return Buffer.concat([
    Buffer.from(`para\0\0\0\0\0${String.fromCharCode(type)}\0\0`),
    fixeds(values),
  ]);
}

/** The data of a curve of 16-bit numbers. */
export function tableTag(...values: number[]): Buffer {
  const entries = Buffer.alloc(2 * values.length);
  for (const [i, value] of values.entries()) entries.writeUInt16BE(value, 2 * i);
  return Buffer.concat([Buffer.from('curv\0\0\0\0'), uint32s(values.length), entries]);
}

/** Numbers as s15Fixed16. */
function fixeds(values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeInt32BE(Math.round(value * 65_536), 4 * i);
  return bytes;
}
