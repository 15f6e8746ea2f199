import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { LivegateError } from '../../domain/errors.js';
import type { ImageKey, ImageKeys } from './image-keys.js';

// Envelope encryption: a random data key for each image, wrapped by a key of the file. A data key is
// used once, so the 2^32 messages after which random GCM nonces of one key may repeat are never
// reached; AES key wrap (RFC 3394) has no nonce, so it has no such limit.
//
//   "LGE1" | length of the key id, 1 byte | key id | wrapped data key, 40 | nonce, 12 | tag, 16 | image
//
// GCM authenticates the header and the check's id with the image: a value that was changed, or moved
// to another check, does not open.

/** Neither a JPEG nor a PNG starts with it, and the gateway stores nothing else. */
const MAGIC = Buffer.from('LGE1');
const WRAP = 'id-aes256-wrap';
/** The initial value of RFC 3394. */
const WRAP_IV = Buffer.alloc(8, 0xa6);
const WRAPPED_BYTES = 40;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface ImageCipher {
  /** What Redis stores of an image. */
  seal(id: string, image: Uint8Array): Buffer;
  /**
   * The image of a stored value. Throws `unavailable` for a key that is not in the file (yet), so that
   * the check is requeued, and `internal_error` for a value that was changed.
   */
  open(id: string, value: Buffer): Uint8Array;
}

export interface ImageCipherOptions {
  /** Without keys, images are stored as they are. */
  keys?: ImageKeys | undefined;
  /** Whether an image that is not encrypted is refused. */
  requireEncrypted?: boolean | undefined;
}

export function createImageCipher({ keys, requireEncrypted }: ImageCipherOptions): ImageCipher {
  return {
    // A view, not a copy: ioredis takes only a Buffer as binary.
    seal: (id, image) => (keys ? encrypt(keys.current(), id, image) : viewOf(image)),
    open(id, value) {
      if (value.subarray(0, MAGIC.length).equals(MAGIC)) return decrypt(keys, id, value);
      if (!requireEncrypted) return value;
      throw damaged('the image in Redis is not encrypted');
    },
  };
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function encrypt({ id: keyId, key }: ImageKey, id: string, image: Uint8Array): Buffer {
  const dataKey = randomBytes(32);
  const nonce = randomBytes(NONCE_BYTES);
  const wrap = createCipheriv(WRAP, key, WRAP_IV);
  const wrapped = Buffer.concat([wrap.update(dataKey), wrap.final()]);
  const header = Buffer.concat([
    MAGIC,
    Buffer.of(keyId.length),
    Buffer.from(keyId),
    wrapped,
    nonce,
  ]);
  const cipher = createCipheriv('aes-256-gcm', dataKey, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.concat([header, Buffer.from(id)]));
  const body = cipher.update(image);
  cipher.final();
  return Buffer.concat([header, cipher.getAuthTag(), body]);
}

function decrypt(keys: ImageKeys | undefined, id: string, value: Buffer): Buffer {
  const idStart = MAGIC.length + 1;
  const idEnd = idStart + (value[MAGIC.length] ?? 0);
  const nonceStart = idEnd + WRAPPED_BYTES;
  const tagStart = nonceStart + NONCE_BYTES;
  const bodyStart = tagStart + TAG_BYTES;
  if (value.length < bodyStart) throw damaged('the encrypted image in Redis is cut off');
  const keyId = value.toString('latin1', idStart, idEnd);
  const key = keys?.find(keyId);
  if (!key) {
    const detail = `the image is encrypted with the key ${JSON.stringify(keyId)}, which is missing`;
    throw new LivegateError('unavailable', { detail });
  }
  try {
    const wrap = createDecipheriv(WRAP, key.key, WRAP_IV);
    const wrapped = value.subarray(idEnd, nonceStart);
    const dataKey = Buffer.concat([wrap.update(wrapped), wrap.final()]);
    const nonce = value.subarray(nonceStart, tagStart);
    const cipher = createDecipheriv('aes-256-gcm', dataKey, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.concat([value.subarray(0, tagStart), Buffer.from(id)]));
    cipher.setAuthTag(value.subarray(tagStart, bodyStart));
    const image = cipher.update(value.subarray(bodyStart));
    cipher.final();
    return image;
  } catch (cause) {
    throw damaged('the encrypted image in Redis was changed, or belongs to another check', cause);
  }
}

function damaged(detail: string, cause?: unknown): LivegateError {
  return new LivegateError('internal_error', { detail, cause });
}
