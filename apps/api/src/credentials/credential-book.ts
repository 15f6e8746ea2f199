import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { qualityPolicies } from '@livegate/core/domain';
import { followFile } from '@livegate/core/runtime';
import type { Log } from '@livegate/core/telemetry';
import { z } from 'zod';
import { type CredentialChanges, observeCredentials } from './observe-credentials.js';

/** The credentials that are currently in the file. */
export interface CredentialBook {
  find(username: string): Credential | undefined;
  /** The highest weight of a tenant's credentials. */
  weightOf(tenant: string): number;
  /** Called with the name of each credential that is accepted. */
  recordUse?(username: string): void;
  close(): void;
}

export interface CredentialBookOptions {
  /** Without a file, the published development credentials are accepted. */
  file: string | undefined;
  production: boolean;
  log: Log;
}

/** Throws if the file is unusable, or if production would accept published secrets. */
export async function openCredentialBook(options: CredentialBookOptions): Promise<CredentialBook> {
  const { file, production, log } = options;
  const list = () => [...read().values()];
  let read = () => index([developmentCredential]);
  const observed = observeCredentials({ file, log, list });
  const find = (username: string) => read().get(username);
  const weightOf = (tenant: string) => findWeight(list(), tenant);
  if (!file) {
    refusePublished(list(), production);
    return { find, weightOf, close: () => undefined };
  }
  const book = followFile({
    file,
    parse: (text) => index(refusePublished(parseCredentialFile(text, file), production)),
    onChange: (now, before) => observed.changed(describeChanges(now, before)),
    /** While the new file is invalid, the previous credentials stay in force. */
    onProblem: (err) =>
      log.error({ file, err }, 'credentials not reloaded, the previous ones stay in force'),
  });
  read = book.read;
  observed.warn();
  return { find, weightOf, close: book.close };
}

function describeChanges(now: Index, before: Index): CredentialChanges {
  const isSame = (name: string) => isDeepStrictEqual(now.get(name), before.get(name));
  return {
    added: [...now.keys()].filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !now.has(name)),
    changed: [...now.keys()].filter((name) => before.has(name) && !isSame(name)),
  };
}

export function findWeight(credentials: readonly Credential[], tenant: string): number {
  const own = credentials.filter((credential) => credential.tenant === tenant);
  return Math.max(1, ...own.map(({ weight = 1 }) => weight));
}

const PUBLISHED_SECRETS =
  'The published development credentials are not accepted with NODE_ENV=production. Create your ' +
  'own with "npm run credentials -- create --tenant NAME" and set LIVEGATE_CREDENTIALS_FILE.';

function refusePublished(credentials: Credential[], production: boolean): Credential[] {
  if (production && credentials.some(isPublished)) throw new Error(PUBLISHED_SECRETS);
  return credentials;
}

type Index = Map<string, Credential>;

function index(credentials: Credential[]): Index {
  return new Map(credentials.map((credential) => [credential.username, credential]));
}

function isPublished(credential: Credential): boolean {
  return (
    credential.password_sha256 === developmentCredential.password_sha256 ||
    credential.api_key_sha256 === developmentCredential.api_key_sha256
  );
}

/** The permissions of a tenant. */
export const tenantPermissions = [
  'passive-liveness',
  'sessions',
  'webhook-endpoints',
  'webhook-url',
] as const;
/** All permissions. `queue-board` is for operators only: the queues contain the jobs of all tenants. */
export const permissions = [...tenantPermissions, 'queue-board'] as const;
export type Permission = (typeof permissions)[number];

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits');

const credentialSchema = z.strictObject({
  tenant: z.string().regex(/^[\w.-]{1,64}$/, 'expected 1 to 64 letters, digits, ".", "_" or "-"'),
  /** For HTTP Basic; unique in the file. A tenant may have several credentials, to rotate them. */
  username: z
    .string()
    .min(1)
    .regex(/^[^:]+$/, 'must not contain ":"'),
  password_sha256: sha256,
  api_key_sha256: sha256,
  permissions: z.array(z.enum(permissions)),
  /** Replaces the server's default for this tenant; 0 means no limit. */
  rate_limit_per_minute: z.int().min(0).optional(),
  /** The same for requests that start no check. */
  other_requests_per_minute: z.int().min(0).optional(),
  /** The tenant's share of the workers while they are busy, relative to other tenants; 1 by default. */
  weight: z.int().min(1).max(100).optional(),
  /** What this credential's requests do about weak images, at least; `header` by default. */
  quality: z.enum(qualityPolicies).optional(),
  /** From then on it is answered like a wrong one. */
  not_after: z.iso.datetime().optional(),
  created_at: z.iso.datetime().optional(),
  /** Who created it, and who changed it last and when, as `npm run credentials` knows. */
  created_by: z.string().optional(),
  changed_at: z.iso.datetime().optional(),
  changed_by: z.string().optional(),
});

const credentialFileSchema = z.strictObject({
  credentials: z.array(credentialSchema).refine(hasUniqueUsernames, 'usernames must be unique'),
});

export type Credential = z.output<typeof credentialSchema>;

/** `now` is in milliseconds since the epoch. */
export function isExpired(credential: Credential | undefined, now: number): boolean {
  return credential?.not_after !== undefined && Date.parse(credential.not_after) <= now;
}

/** Throws an Error that names the file and lists every problem in it. */
export async function readCredentialFile(path: string): Promise<Credential[]> {
  try {
    return parseCredentialFile(await readFile(path, 'utf8'), path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause) throw unusable(path, cause);
    throw cause;
  }
}

function parseCredentialFile(text: string, path: string): Credential[] {
  try {
    return requireCredentials(JSON.parse(text), path);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

function unusable(path: string, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Error(`the credentials in ${path} cannot be used: ${reason}`, { cause });
}

/** Throws an Error that lists every problem; `origin` names the source. */
export function requireCredentials(content: unknown, origin: string): Credential[] {
  const parsed = credentialFileSchema.safeParse(content);
  if (parsed.success) return parsed.data.credentials;
  throw new Error(`${origin} has invalid credentials:\n${z.prettifyError(parsed.error)}`);
}

/** The defaults of the published Node SDK, so that it works with no arguments in development. */
export const developmentCredential: Credential = {
  tenant: 'development',
  username: 'default-username',
  password_sha256: hashSecret('default-password'),
  api_key_sha256: hashSecret('default-api-key'),
  permissions: [...permissions],
};

function hasUniqueUsernames(credentials: Credential[]): boolean {
  return new Set(credentials.map(({ username }) => username)).size === credentials.length;
}

/**
 * Plain SHA-256, fast enough for every request. It is safe only because `npm run credentials` makes
 * the secrets from 256 random bits, which no dictionary contains.
 */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** In constant time. */
export function matchesHash(secret: string, hash: string): boolean {
  return timingSafeEqual(Buffer.from(hashSecret(secret)), Buffer.from(hash));
}
