import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import {
  developmentCredential,
  hashSecret,
} from '../../../apps/api/src/credentials/credential-book.js';
import { createEnv, startApi, startWorker, untilReady } from './processes.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Base URL of the product that the end-to-end tests share. */
    url: string;
  }
}

/** A tenant of its own beside the development one, and one that may not do anything. */
const credentials = [
  developmentCredential,
  {
    ...developmentCredential,
    tenant: 'acme',
    username: 'acme-user',
    password_sha256: hashSecret('acme-password'),
    api_key_sha256: hashSecret('acme-key'),
  },
  { ...developmentCredential, tenant: 'idle', username: 'idle-user', permissions: [] },
];

/** One api and one worker for all end-to-end tests that do not break them. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-e2e-'));
  const file = join(folder, 'credentials.json');
  await writeFile(file, JSON.stringify({ credentials }));
  const env = createEnv({
    LIVEGATE_CREDENTIALS_FILE: file,
    LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
  });
  const [worker, api] = await Promise.all([startWorker(env), startApi(env)]);
  await untilReady(api.url);
  project.provide('url', api.url);
  return async () => {
    await Promise.all([api.stop(), worker.stop()]);
    await rm(folder, { recursive: true });
  };
}
