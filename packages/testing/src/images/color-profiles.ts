import sharp from 'sharp';
import { uint32s } from './png-chunks.js';

/** The ICC profile of an image that has one. */
export async function profileOf(image: Buffer): Promise<Buffer> {
  return (await sharp(image).metadata()).icc!;
}

/** A color profile with a tag that contains a pipeline of `steps` identical steps. */
export function withPipeline(profile: Buffer, steps: number): Buffer {
  const step = Buffer.concat([
    Buffer.from('matf\0\0\0\0\0\x03\0\x03', 'latin1'),
    Buffer.from(Float32Array.from([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]).buffer).swap32(),
  ]);
  const head = Buffer.from('mpet\0\0\0\0\0\x03\0\x03', 'latin1');
  const places = Array.from({ length: steps }, () => [16 + 8 * steps, step.length]).flat();
  const pipeline = Buffer.concat([head, uint32s(steps, ...places), step]);
  return withProfileTag(profile, 'D2B0', pipeline);
}

function withProfileTag(profile: Buffer, name: string, data: Buffer): Buffer {
  const [header, rest] = [Buffer.from(profile.subarray(0, 128)), profile.subarray(132)];
  const count = profile.readUInt32BE(128);
  const [tags, bodies] = [Buffer.from(rest.subarray(0, 12 * count)), rest.subarray(12 * count)];
  // The new entry of 12 bytes moves the data of all tags.
  for (let i = 0; i < count; i++) {
    tags.writeUInt32BE(tags.readUInt32BE(12 * i + 4) + 12, 12 * i + 4);
  }
  const padding = Buffer.alloc(-profile.length & 3);
  const start = profile.length + 12 + padding.length;
  const entry = Buffer.concat([Buffer.from(name), uint32s(start, data.length)]);
  header.writeUInt32BE(start + data.length);
  return Buffer.concat([header, uint32s(count + 1), entry, tags, bodies, padding, data]);
}
