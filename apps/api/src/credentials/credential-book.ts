import { createHash, timingSafeEqual } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Log } from '@livegate/core/telemetry';
import { z } from 'zod';

/** A stat this often notices a changed file, also behind a Kubernetes secret's symbolic links. */
const WATCH_MS = 1000;

/** Who may call, as the file says now. */
export interface CredentialBook {
  find(username: string): Credential | undefined;
  close(): void;
}

export interface CredentialBookOptions {
  /** Without a file, the published development credentials are accepted. */
  file: string | undefined;
  production: boolean;
  log: Log;
}

/** Throws when the file cannot be used, or when production would accept published secrets. */
export async function openCredentialBook(options: CredentialBookOptions): Promise<CredentialBook> {
  const { file, production, log } = options;
  let byUsername = index(await load());
  if (file) watchFile(file, { interval: WATCH_MS }, () => void reload());

  return {
    find: (username) => byUsername.get(username),
    close() {
      if (file) unwatchFile(file);
    },
  };

  async function load(): Promise<Credential[]> {
    const credentials = file ? await readCredentialFile(file) : [developmentCredential];
    if (production && credentials.some(isPublished)) throw new Error(PUBLISHED_SECRETS);
    return credentials;
  }

  /** A file that is wrong for a moment locks nobody out: the last good one stays in force. */
  async function reload(): Promise<void> {
    try {
      byUsername = index(await load());
      log.info({ file, credentials: byUsername.size }, 'credentials reloaded');
    } catch (error) {
      log.error({ file, err: error }, 'credentials not reloaded, the former ones stay in force');
    }
  }
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

/** What a tenant may ask for. */
export const tenantPermissions = ['passive-liveness', 'webhook-endpoints', 'webhook-url'] as const;
/** And what only operators may: the queues hold the jobs of all tenants. */
export const permissions = [...tenantPermissions, 'queue-board'] as const;
export type Permission = (typeof permissions)[number];

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits');

const credentialSchema = z.strictObject({
  tenant: z.string().regex(/^[\w.-]{1,64}$/, 'expected 1 to 64 letters, digits, ".", "_" or "-"'),
  /** Of HTTP Basic; unique in the file. A tenant may hold several, to change them one by one. */
  username: z
    .string()
    .min(1)
    .regex(/^[^:]+$/, 'must not contain ":"'),
  password_sha256: sha256,
  api_key_sha256: sha256,
  permissions: z.array(z.enum(permissions)),
  /** Replaces the server's default for this tenant; 0 means no limit. */
  rate_limit_per_minute: z.int().min(0).optional(),
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

/** Throws an Error that lists every problem; `origin` tells whose. */
export function requireCredentials(content: unknown, origin: string): Credential[] {
  const parsed = credentialFileSchema.safeParse(content);
  if (parsed.success) return parsed.data.credentials;
  throw new Error(`${origin} gives no valid credentials:\n${z.prettifyError(parsed.error)}`);
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
 * Plain SHA-256, fast enough for every request. That is safe only because the secrets are 256
 * random bits made by `npm run credentials`: there is no dictionary to try them from.
 */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** In constant time. */
export function matchesHash(secret: string, hash: string): boolean {
  return timingSafeEqual(Buffer.from(hashSecret(secret)), Buffer.from(hash));
}
