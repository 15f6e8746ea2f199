import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { QualityPolicy } from '@livegate/core/domain';
import {
  type Credential,
  hashSecret,
  type Permission,
  readCredentialFile,
  requireCredentials,
  tenantPermissions,
} from './credential-book.js';

const USAGE = `Usage: npm run credentials -- COMMAND [options]
  create --tenant NAME    make a credential and print its secrets, once
    --permission NAME     grant only this permission, instead of all of a tenant's; repeatable
    --quality POLICY      for weak images, at least: header (the default), report or enforce
  set --username NAME --quality POLICY
                          change that policy of an existing credential
  list                    list the credentials, without their secrets
  revoke --username NAME  remove one
The file is --file PATH, else LIVEGATE_CREDENTIALS_FILE, else ./credentials.json. A running
gateway reloads the file by itself.`;

/** Edits a credentials file. Returns what to print; throws an Error with a readable message. */
export async function runCredentialsCli(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      tenant: { type: 'string' },
      permission: { type: 'string', multiple: true, default: [...tenantPermissions] },
      username: { type: 'string' },
      quality: { type: 'string' },
      file: { type: 'string', default: env['LIVEGATE_CREDENTIALS_FILE'] ?? 'credentials.json' },
    },
  });
  const { file, tenant, username, permission, quality } = values;
  const credentials = existsSync(file) ? await readCredentialFile(file) : [];

  const [command] = positionals;
  if (command === 'create' && tenant) {
    const permissions = permission as Permission[];
    return create(file, credentials, { tenant, permissions, ...withQuality(quality) });
  }
  if (command === 'set' && username && quality) {
    return setQuality(file, credentials, { username, ...withQuality(quality) });
  }
  if (command === 'revoke' && username) return revoke(file, credentials, username);
  if (command === 'list') return credentials.map(describe).join('\n') || `${file} is empty`;
  throw new Error(USAGE);
}

/** The policy as the file has it. `requireCredentials` refuses an unknown one. */
function withQuality(quality: string | undefined): Pick<Credential, 'quality'> {
  return quality === undefined ? {} : { quality: quality as QualityPolicy };
}

type NewCredential = Pick<Credential, 'tenant' | 'permissions' | 'quality'>;

async function create(
  file: string,
  credentials: Credential[],
  { tenant, ...granted }: NewCredential,
): Promise<string> {
  const username = `${tenant}-${randomBytes(4).toString('hex')}`;
  const password = createSecret();
  const apiKey = createSecret();
  const credential: Credential = {
    tenant,
    username,
    password_sha256: hashSecret(password),
    api_key_sha256: hashSecret(apiKey),
    ...granted,
    created_at: new Date().toISOString(),
  };
  await writeCredentialFile(file, [...credentials, credential]);
  return `Tenant ${tenant} was added to ${file}. These secrets are shown only now:
  username   ${username}
  password   ${password}
  x-api-key  ${apiKey}`;
}

async function setQuality(
  file: string,
  credentials: Credential[],
  changed: Pick<Credential, 'username' | 'quality'>,
): Promise<string> {
  const { username, quality } = changed;
  requireKnown(credentials, username, file);
  const updated = credentials.map((old) => (old.username === username ? { ...old, quality } : old));
  await writeCredentialFile(file, updated);
  return `${username} now has the quality policy ${quality}.`;
}

function requireKnown(credentials: Credential[], username: string, file: string): void {
  const isKnown = credentials.some((credential) => credential.username === username);
  if (!isKnown) throw new Error(`${file} has no ${username}`);
}

async function revoke(file: string, credentials: Credential[], username: string): Promise<string> {
  requireKnown(credentials, username, file);
  const remaining = credentials.filter((credential) => credential.username !== username);
  await writeCredentialFile(file, remaining);
  return `${username} was removed from ${file}.`;
}

/** Writes a temporary file and renames it, so that a gateway never reads half a file. */
async function writeCredentialFile(file: string, credentials: Credential[]): Promise<void> {
  const draft = `${file}.${process.pid}.tmp`;
  const content = { credentials: requireCredentials({ credentials }, 'this command') };
  await writeFile(draft, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, file);
}

function createSecret(): string {
  return randomBytes(32).toString('base64url');
}

function describe({ tenant, username, quality, created_at }: Credential): string {
  const facts = [
    `tenant ${tenant}`,
    ...(quality ? [`quality ${quality}`] : []),
    ...(created_at ? [`created ${created_at}`] : []),
  ];
  return `${username}  ${facts.join(', ')}`;
}
