import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
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
      file: { type: 'string', default: env['LIVEGATE_CREDENTIALS_FILE'] ?? 'credentials.json' },
    },
  });
  const { file, tenant, username, permission } = values;
  const credentials = existsSync(file) ? await readCredentialFile(file) : [];

  const [command] = positionals;
  if (command === 'create' && tenant) {
    return create(file, credentials, { tenant, permissions: permission as Permission[] });
  }
  if (command === 'revoke' && username) return revoke(file, credentials, username);
  if (command === 'list') return credentials.map(describe).join('\n') || `${file} is empty`;
  throw new Error(USAGE);
}

type NewCredential = Pick<Credential, 'tenant' | 'permissions'>;

async function create(
  file: string,
  credentials: Credential[],
  { tenant, permissions }: NewCredential,
): Promise<string> {
  const username = `${tenant}-${randomBytes(4).toString('hex')}`;
  const password = createSecret();
  const apiKey = createSecret();
  const credential: Credential = {
    tenant,
    username,
    password_sha256: hashSecret(password),
    api_key_sha256: hashSecret(apiKey),
    permissions,
    created_at: new Date().toISOString(),
  };
  await writeCredentialFile(file, [...credentials, credential]);
  return `Tenant ${tenant} was added to ${file}. These secrets are shown only now:
  username   ${username}
  password   ${password}
  x-api-key  ${apiKey}`;
}

async function revoke(file: string, credentials: Credential[], username: string): Promise<string> {
  const remaining = credentials.filter((credential) => credential.username !== username);
  if (remaining.length === credentials.length) throw new Error(`${file} has no ${username}`);
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

function describe({ tenant, username, created_at }: Credential): string {
  return `${username}  tenant ${tenant}${created_at ? `, created ${created_at}` : ''}`;
}
