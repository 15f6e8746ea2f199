import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ImageHasher, plainImageHasher } from '../../domain/image/image-hasher.js';
import { parsedBy } from '../../runtime/read-config.js';
import { z } from 'zod';
import { followFile } from '../../runtime/follow-file.js';
import type { Log } from '../../telemetry/log.js';

/** A key-encryption key. */
export interface ImageKey {
  /** Its name in the header of each value. */
  id: string;
  /** 32 bytes. */
  key: Buffer;
}

/** The keys of a file: the first one encrypts, all of them decrypt. */
export interface ImageKeys {
  current(): ImageKey;
  find(id: string): ImageKey | undefined;
}

/** Follows the file, so that keys rotate without a restart. Throws if it cannot be used. */
export function openImageKeys(file: string, log: Log): ImageKeys & { close(): void } {
  const followed = followFile({
    file,
    parse: parseImageKeys,
    onChange: (keys) => log.info({ file, keys: keys.map(({ id }) => id) }, 'image keys reloaded'),
    onProblem: (err) =>
      log.error({ file, err }, 'image keys not reloaded, the previous ones stay in force'),
  });
  return {
    current: () => followed.read()[0],
    find: (id) => followed.read().find((known) => known.id === id),
    close: followed.close,
  };
}

/** Refuses a start with a file that cannot be used. */
export const imageKeysRule = z.object({
  LIVEGATE_IMAGE_KEYS_FILE: parsedBy((file) =>
    parseImageKeys(readFileSync(file, 'utf8')),
  ).optional(),
});

/** Its errors name no key. One key a line: `ID HEX`. Empty lines, and lines that start with "#", are ignored. */
export function parseImageKeys(text: string): [ImageKey, ...ImageKey[]] {
  const lines = text.split('\n').map((line, i) => ({ line: line.trim(), number: i + 1 }));
  const [first, ...more] = lines
    .filter(({ line }) => line !== '' && !line.startsWith('#'))
    .map(({ line, number }) => parseKey(line, number));
  if (!first) throw new Error('expected at least one line "ID KEY"');
  const ids = new Set([first, ...more].map(({ id }) => id));
  if (ids.size <= more.length) throw new Error('two image keys have the same id');
  return [first, ...more];
}

function parseKey(line: string, number: number): ImageKey {
  const [, id, hex] = /^([\w.-]{1,32})\s+([0-9a-f]{64})$/i.exec(line) ?? [];
  if (id === undefined || hex === undefined) {
    throw new Error(
      `line ${number}: expected an id of up to 32 letters, digits, ".", "_" or "-", a space, ` +
        'and 64 hex digits, such as from "openssl rand -hex 32"',
    );
  }
  return { id, key: Buffer.from(hex, 'hex') };
}

/** A key of its own for each purpose, so that none of them weakens another. */
export function deriveKey({ key }: ImageKey, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', `livegate ${purpose}`, 32));
}

/**
 * Hashes that tell a reader of Redis nothing without the keys: a plain hash would show whether a
 * known image was sent. Also compares with the plain hashes of gateways that have no keys yet.
 */
export function createImageHasher(keys: ImageKeys | undefined): ImageHasher {
  if (!keys) return plainImageHasher;
  const hashWith = (key: ImageKey, image: Uint8Array) =>
    `${key.id}:${createHmac('sha256', deriveKey(key, 'idempotency')).update(image).digest('hex')}`;
  return {
    hash: (image) => hashWith(keys.current(), image),
    matches(image, hash) {
      const [id = '', mac] = hash.split(':');
      if (mac === undefined) return plainImageHasher.matches(image, hash);
      const key = keys.find(id);
      return key !== undefined && isEqual(hashWith(key, image), hash);
    },
  };
}

function isEqual(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
