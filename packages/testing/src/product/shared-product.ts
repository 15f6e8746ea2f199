import type { TestProject } from 'vitest/node';
import {
  developmentCredential,
  hashSecret,
} from '../../../../apps/api/src/credentials/credential-book.js';
import { writeCredentials } from './credentials-file.js';
import { createEnv, startApi, startWorker, untilReady } from './processes.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Base URL of the product that the end-to-end tests share. */
    url: string;
  }
}

/** The development tenant, a second tenant, and one without any permission. */
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

/** Starts one gateway and one worker for the end-to-end tests that neither stop nor freeze them. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { file, remove } = await writeCredentials(credentials);
  const env = createEnv({
    LIVEGATE_CREDENTIALS_FILE: file,
    LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
  });
  const [worker, api] = await Promise.all([startWorker(env), startApi(env)]);
  await untilReady(api.url);
  project.provide('url', api.url);
  return async () => {
    await Promise.all([api.stop(), worker.stop()]);
    await remove();
  };
}
