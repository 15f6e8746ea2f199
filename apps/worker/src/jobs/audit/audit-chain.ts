import { createHash, createHmac } from 'node:crypto';
import type { CutPoints, ModelFacts } from '@livegate/core/domain';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import { type AuditedCheck, auditedCheckSchema } from './audited-check.js';

/**
 * The lines of an audit. Each is one JSON object in the canonical form of RFC 8785:
 *
 *     {"chain":…,"hash":…,"key":…,"payload":{…},"payload_sha256":…,"prev":…,"seq":…}
 *
 *     prev of line n = hash of line n-1 = H(chain, key, payload_sha256, prev, seq)
 *
 * A removed, changed, moved or inserted line breaks a hash or a link. Only the hash of the payload
 * is linked, so a payload can be blanked later (`redactLine`), and the chain still holds.
 */
export interface AuditLine {
  /** Names the chain: the time of its start, then the worker. Sorts by time. */
  chain: string;
  /** Hex SHA-256, or hex HMAC-SHA-256 with a key, of the line without `hash` and `payload`. */
  hash: string;
  /** The id of the HMAC key; null without one. */
  key: string | null;
  /** Null in a redacted line. */
  payload: AuditPayload | null;
  /** Hex SHA-256 of the payload in canonical form. */
  payload_sha256: string;
  /** `hash` of the line before; 64 zeros in the first line. */
  prev: string;
  /** 0, 1, 2, … */
  seq: number;
}

export type AuditPayload = ChainStart | AuditedCheck | ChainEnd;

/** The payload of a chain's first line. */
export interface ChainStart {
  kind: 'start';
  /** Of the format that this file describes. */
  format: 1;
  /** ISO 8601, UTC. */
  time: string;
  worker: string;
  /** Of Livegate. */
  version: string;
  models: ModelFacts[];
  cut_points: CutPoints;
  /** The last known lines of earlier chains, so that a removed chain is missed. */
  previous: ChainHead[];
}

/** The payload of a chain's last line. A chain without one was cut off, or its worker still runs. */
export interface ChainEnd {
  kind: 'end';
  time: string;
  reason: 'new day' | 'worker stopped';
}

/** The last line of a chain, at some time. Kept elsewhere, it proves that no line was cut off. */
export interface ChainHead {
  chain: string;
  seq: number;
  hash: string;
}

/** A secret that only the workers and the verifier have: without it, no line can be made. */
export interface AuditKey {
  id: string;
  secret: Uint8Array;
}

const NO_LINE_YET = '0'.repeat(64);

export function startChain(chain: string): ChainHead {
  return { chain, seq: -1, hash: NO_LINE_YET };
}

/** The lines that append the payloads to a chain, and the head that the chain then has. */
export function extendChain(
  head: ChainHead,
  payloads: AuditPayload[],
  key?: AuditKey,
): { lines: string[]; head: ChainHead } {
  const { chain } = head;
  const lines = payloads.map((payload) => {
    const link = { chain, key: key?.id ?? null, prev: head.hash, seq: head.seq + 1 };
    const linked = { ...link, payload_sha256: hashPayload(payload) };
    head = { chain, seq: linked.seq, hash: hashLine(linked, key) };
    return writeLine({ ...linked, hash: head.hash, payload });
  });
  return { lines, head };
}

/** The part of a line that its hash covers. */
export type LinkedPart = Omit<AuditLine, 'hash' | 'payload'>;

export function hashLine(line: LinkedPart, key?: AuditKey): string {
  const { chain, key: keyId, payload_sha256, prev, seq } = line;
  const text = toCanonical({ chain, key: keyId, payload_sha256, prev, seq });
  const hash = key ? createHmac('sha256', key.secret) : createHash('sha256');
  return hash.update(text).digest('hex');
}

export function hashPayload(payload: AuditPayload): string {
  return createHash('sha256').update(toCanonical(payload)).digest('hex');
}

export function writeLine(line: AuditLine): string {
  return toCanonical(line);
}

/**
 * `undefined` for a text that is not a line. Checks the form, not the hashes: see
 * `hashLine`.
 */
export function parseLine(text: string | undefined): AuditLine | undefined {
  try {
    return lineSchema.parse(JSON.parse(text ?? '')) as AuditLine;
  } catch {
    return undefined;
  }
}

/** Hex SHA-256. */
const hex = z.string().regex(/^[0-9a-f]{64}$/);

const headSchema = z.strictObject({ chain: z.string(), seq: z.int().nonnegative(), hash: hex });

const payloadSchema = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('start'), previous: z.array(headSchema) }),
  auditedCheckSchema,
  z.looseObject({ kind: z.literal('end') }),
]);

const lineSchema = z.strictObject({
  chain: z.string(),
  hash: hex,
  key: z.string().nullable(),
  payload: payloadSchema.nullable(),
  payload_sha256: hex,
  prev: hex,
  seq: z.int().nonnegative(),
});

export function headOf({ chain, seq, hash }: ChainHead): ChainHead {
  return { chain, seq, hash };
}

/**
 * The line without its payload, of the same length in UTF-8, so that it can be overwritten in a file
 * to which a worker appends.
 */
export function redactLine(text: string): string {
  const redacted = writeLine({ ...(JSON.parse(text) as AuditLine), payload: null });
  return redacted + ' '.repeat(Buffer.byteLength(text) - Buffer.byteLength(redacted));
}

const MIN_KEY_BYTES = 32;

/** Reads the content of a key file. Throws an Error if it is too short to be a secret. */
export function parseAuditKey(content: Uint8Array): AuditKey {
  const secret = Buffer.from(Buffer.from(content).toString('latin1').trim(), 'latin1');
  if (secret.length < MIN_KEY_BYTES) {
    throw new Error(
      `the key has ${secret.length} bytes, expected at least ${MIN_KEY_BYTES}: ` +
        'write one with "openssl rand -hex 32"',
    );
  }
  const id = createHash('sha256').update('livegate audit key id').update(secret).digest('hex');
  return { id: id.slice(0, 8), secret };
}

function toCanonical(value: object): string {
  // Undefined only for a value that JSON cannot express, which no object is.
  return canonicalize(value)!;
}
