import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  developmentCredential,
  hashSecret,
} from '../../../../apps/api/src/credentials/credential-book.js';

/** A credential for the pages of operators, and no other permission. */
export const operator = {
  ...developmentCredential,
  tenant: 'operations',
  username: 'operator',
  password_sha256: hashSecret('operator-password'),
  permissions: ['queue-board'],
};
export const operatorLogin = { username: 'operator', password: 'operator-password' };
export const asOperator = { Authorization: `Basic ${btoa('operator:operator-password')}` };

/** Writes a file for LIVEGATE_CREDENTIALS_FILE into a folder of its own. */
export async function writeCredentials(credentials: object[]) {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-credentials-'));
  const file = join(folder, 'credentials.json');
  await writeFile(file, JSON.stringify({ credentials }));
  return { file, remove: () => rm(folder, { recursive: true }) };
}
