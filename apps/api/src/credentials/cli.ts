import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, rename, writeFile } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import type { QualityPolicy } from '@livegate/core/domain';
import {
  type Credential,
  hashSecret,
  isExpired,
  type Permission,
  readCredentialFile,
  requireCredentials,
  tenantPermissions,
} from './credential-book.js';

const USAGE = `Usage: npm run credentials -- COMMAND [options]
  create --tenant NAME    make a credential and print its secrets, once
    --permission NAME     grant only this permission, instead of all of a tenant's; repeatable
    --quality POLICY      for weak images, at least: header (the default), report or enforce
    --weight NUMBER       the tenant's share of busy workers, 1 (the default) to 100
    --rate-limit-per-minute NUMBER
                          instead of the server's default for checks; 0 is no limit
    --other-requests-per-minute NUMBER
                          the same for requests that start no check
    --not-after TIME      the end of its validity, such as 2027-06-30; without it, it has no end
  set --username NAME     change an existing credential, with these options but --permission
  list                    list the credentials, without their secrets
    --used                with their last use, from the Redis of REDIS_URL
  revoke --username NAME  remove one
The file is --file PATH, else LIVEGATE_CREDENTIALS_FILE, else ./credentials.json. A running
gateway reloads the file by itself. Each change is also a line of PATH.changes, with time and user.`;

/** The last use of each credential, in the order of the names. */
export type ReadLastUse = (usernames: string[]) => Promise<(string | undefined)[]>;

/** Edits a credentials file. Returns what to print; throws an Error with a readable message. */
export async function runCredentialsCli(
  args: string[],
  env: NodeJS.ProcessEnv,
  readLastUse: ReadLastUse = async () => [],
): Promise<string> {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      tenant: { type: 'string' },
      permission: { type: 'string', multiple: true, default: [...tenantPermissions] },
      username: { type: 'string' },
      quality: { type: 'string' },
      weight: { type: 'string' },
      'rate-limit-per-minute': { type: 'string' },
      'other-requests-per-minute': { type: 'string' },
      'not-after': { type: 'string' },
      used: { type: 'boolean', default: false },
      file: { type: 'string', default: env['LIVEGATE_CREDENTIALS_FILE'] ?? 'credentials.json' },
    },
  });
  const { file, tenant, username, permission } = values;
  const granted = readGrant(values);
  const credentials = existsSync(file) ? await readCredentialFile(file) : [];

  const [command] = positionals;
  if (command === 'create' && tenant) {
    const permissions = permission as Permission[];
    return create(file, credentials, { tenant, permissions, ...granted });
  }
  if (command === 'set' && username && Object.keys(granted).length > 0) {
    return changeCredential(file, credentials, { username, ...granted });
  }
  if (command === 'revoke' && username) return revoke(file, credentials, username);
  if (command === 'list') {
    const names = credentials.map((credential) => credential.username);
    const uses = values.used ? await readLastUse(names) : undefined;
    const lines = credentials.map((credential, i) => describe(credential, uses && { at: uses[i] }));
    return lines.join('\n') || `${file} is empty`;
  }
  throw new Error(USAGE);
}

/** What an operator grants, as the file has it. */
type Grant = Pick<Credential, 'quality' | 'not_after' | (typeof numbers)[number]>;

/** Each is set by the option with hyphens instead of underscores. */
const numbers = ['weight', 'rate_limit_per_minute', 'other_requests_per_minute'] as const;

/** `requireCredentials` refuses a policy or a number that is not valid. */
function readGrant(options: Record<string, unknown>): Grant {
  const { quality, 'not-after': end } = options as Record<string, string | undefined>;
  if (end !== undefined && Number.isNaN(Date.parse(end))) {
    throw new Error(`--not-after ${end} is not a time such as 2027-06-30`);
  }
  const given = numbers.map((name) => [name, options[name.replaceAll('_', '-')]] as const);
  return {
    ...(quality !== undefined && { quality: quality as QualityPolicy }),
    ...(end !== undefined && { not_after: new Date(end).toISOString() }),
    ...Object.fromEntries(
      given
        .filter(([, text]) => text !== undefined)
        .map(([name, text]) => [name, readNumber(text)]),
    ),
  };
}

/** NaN for an empty option, which `Number` takes for 0: a rate without a limit. */
const readNumber = (text: unknown) => (text === '' ? Number.NaN : Number(text));

type NewCredential = Pick<Credential, 'tenant' | 'permissions'> & Grant;

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
    created_by: whoami(),
  };
  await writeCredentialFile(file, [...credentials, credential]);
  await recordChange(file, { change: 'created', username, tenant });
  return `Tenant ${tenant} was added to ${file}. These secrets are shown only now:
  username   ${username}
  password   ${password}
  x-api-key  ${apiKey}`;
}

async function changeCredential(
  file: string,
  credentials: Credential[],
  { username, ...to }: Pick<Credential, 'username'> & Grant,
): Promise<string> {
  requireKnown(credentials, username, file);
  const by = { changed_at: new Date().toISOString(), changed_by: whoami() };
  const updated = credentials.map((old) =>
    old.username === username ? { ...old, ...to, ...by } : old,
  );
  await writeCredentialFile(file, updated);
  await recordChange(file, { change: 'changed', username, ...to });
  const now = Object.entries(to).map(([name, value]) => `${name} ${String(value)}`);
  return `${username} now has ${now.join(', ')}.`;
}

function requireKnown(credentials: Credential[], username: string, file: string): void {
  const isKnown = credentials.some((credential) => credential.username === username);
  if (!isKnown) throw new Error(`${file} has no ${username}`);
}

async function revoke(file: string, credentials: Credential[], username: string): Promise<string> {
  requireKnown(credentials, username, file);
  const remaining = credentials.filter((credential) => credential.username !== username);
  await writeCredentialFile(file, remaining);
  await recordChange(file, { change: 'revoked', username });
  return `${username} was removed from ${file}.`;
}

/** Writes a temporary file and renames it, so that a gateway never reads half a file. */
async function writeCredentialFile(file: string, credentials: Credential[]): Promise<void> {
  const draft = `${file}.${process.pid}.tmp`;
  const content = { credentials: requireCredentials({ credentials }, 'this command') };
  await writeFile(draft, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, file);
}

/** A line of the audit beside the file: the file itself forgets a revoked credential. */
async function recordChange(file: string, change: Record<string, unknown>): Promise<void> {
  const line = { at: new Date().toISOString(), by: whoami(), ...change };
  await appendFile(`${file}.changes`, `${JSON.stringify(line)}\n`, { mode: 0o600 });
}

function whoami(): string {
  return `${userInfo().username}@${hostname()}`;
}

function createSecret(): string {
  return randomBytes(32).toString('base64url');
}

function describe(credential: Credential, use: { at: string | undefined } | undefined): string {
  const { tenant, username, quality, created_at, not_after } = credential;
  const end = isExpired(credential, Date.now()) ? 'expired' : 'expires';
  const facts = [
    `tenant ${tenant}`,
    ...(quality ? [`quality ${quality}`] : []),
    ...numbers.flatMap((name) => (name in credential ? [`${name} ${credential[name]}`] : [])),
    ...(created_at ? [`created ${created_at}`] : []),
    ...(not_after ? [`${end} ${not_after}`] : []),
    ...(use ? [`last used ${use.at ?? 'never'}`] : []),
  ];
  return `${username}  ${facts.join(', ')}`;
}
