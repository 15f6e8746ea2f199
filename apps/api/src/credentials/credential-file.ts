import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { hashSecret } from './hash-secret.js';

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
