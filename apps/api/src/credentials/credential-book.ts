import { createHash, timingSafeEqual } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { qualityPolicies } from '@livegate/core/domain';
import type { Log } from '@livegate/core/telemetry';
import { z } from 'zod';

/** Polls with stat, which also sees changes behind the symbolic links of a Kubernetes secret. */
const WATCH_MS = 1000;

/** The credentials that are currently in the file. */
export interface CredentialBook {
  find(username: string): Credential | undefined;
  /** The highest weight of a tenant's credentials. */
  weightOf(tenant: string): number;
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
  let byUsername = index(await load());
  if (file) watchFile(file, { interval: WATCH_MS }, () => void reload());

  return {
    find: (username) => byUsername.get(username),
    weightOf: (tenant) => findWeight([...byUsername.values()], tenant),
    close() {
      if (file) unwatchFile(file);
    },
  };

  async function load(): Promise<Credential[]> {
    const credentials = file ? await readCredentialFile(file) : [developmentCredential];
    if (production && credentials.some(isPublished)) throw new Error(PUBLISHED_SECRETS);
    return credentials;
  }

  /** While the new file is invalid, the previous credentials stay in force: nobody is locked out. */
  async function reload(): Promise<void> {
    try {
      byUsername = index(await load());
      log.info({ file, credentials: byUsername.size }, 'credentials reloaded');
    } catch (error) {
      log.error({ file, err: error }, 'credentials not reloaded, the previous ones stay in force');
    }
  }
}

export function findWeight(credentials: readonly Credential[], tenant: string): number {
  const own = credentials.filter((credential) => credential.tenant === tenant);
  return Math.max(1, ...own.map(({ weight = 1 }) => weight));
}

const PUBLISHED_SECRETS =
  'The published development credentials are not accepted with NODE_ENV=production. Create your ' +
  'own with "npm run credentials -- create --tenant NAME" and set LIVEGATE_CREDENTIALS_FILE.';

function index(credentials: Credential[]): Map<string, Credential> {
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
  created_at: z.iso.datetime().optional(),
});

const credentialFileSchema = z.strictObject({
  credentials: z.array(credentialSchema).refine(hasUniqueUsernames, 'usernames must be unique'),
});

export type Credential = z.output<typeof credentialSchema>;

/** Throws an Error that names the file and lists every problem in it. */
export async function readCredentialFile(path: string): Promise<Credential[]> {
  try {
    return requireCredentials(JSON.parse(await readFile(path, 'utf8')), path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the credentials in ${path} cannot be used: ${reason}`, { cause });
  }
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
