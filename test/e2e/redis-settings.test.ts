import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  developmentCredential,
  hashSecret,
} from '../../apps/api/src/credentials/credential-book.js';
import { findFreePort } from '../../tools/dev/ports.js';
import { createEnv, type Env, startApi } from '@livegate/testing/product/processes';
import {
  redisArgs,
  type RedisServer,
  startRedisServer,
} from '@livegate/testing/redis/redis-server';

const root = new URL('../../', import.meta.url);

let folder: string;
let server: RedisServer;
let url: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'livegate-settings-'));
  const port = `${await findFreePort()}`;
  const evicting = { port, dir: folder, 'maxmemory-policy': 'allkeys-lru' };
  server = await startRedisServer(redisArgs(evicting));
  url = `redis://127.0.0.1:${port}`;
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

/** The gateway refuses the development credentials in production. */
async function writeCredentials(): Promise<string> {
  const own = { password_sha256: hashSecret('password'), api_key_sha256: hashSecret('key') };
  const file = join(folder, 'credentials.json');
  const credentials = [{ ...developmentCredential, username: 'acme', ...own }];
  await writeFile(file, JSON.stringify({ credentials }));
  return file;
}

/** Resolves when the app has exited without a signal. */
async function run(app: 'api' | 'worker', env: Env) {
  return new Promise<{ code: unknown; stderr: string }>((resolve) => {
    const command = [`apps/${app}/dist/bundle/main.js`];
    execFile(process.execPath, command, { cwd: root, env }, (error, _stdout, stderr) =>
      resolve({ code: error?.code, stderr }),
    );
  });
}

describe('a Redis that evicts keys', () => {
  it.each(['api', 'worker'] as const)('makes the %s refuse to start in production', async (app) => {
    const env = createEnv({
      NODE_ENV: 'production',
      REDIS_URL: process.env['REDIS_URL'] ?? '',
      BLOB_REDIS_URL: url,
      PORT: '0',
      LIVEGATE_CREDENTIALS_FILE: await writeCredentials(),
      LIVEGATE_PUBLIC_URL: 'https://liveness.example',
    });
    const { code, stderr } = await run(app, env);
    expect(stderr).toMatch(/BLOB_REDIS_URL has maxmemory-policy allkeys-lru.*noeviction/);
    expect(code).toBe(1);
  });

  it('makes the api log one warning in development', async () => {
    const api = await startApi(createEnv({ REDIS_URL: url }));
    onTestFinished(async () => void (await api.stop('SIGKILL')));
    const warnings = () =>
      api.log.filter(({ msg }) => /maxmemory-policy allkeys-lru/.test(String(msg)));
    await expect.poll(warnings, { timeout: 20_000 }).toHaveLength(1);
  });
});
