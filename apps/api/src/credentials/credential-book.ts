import { unwatchFile, watchFile } from 'node:fs';
import type { Log } from '@livegate/core';
import { developmentCredential, readCredentialFile, type Credential } from './credential-file.js';

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
