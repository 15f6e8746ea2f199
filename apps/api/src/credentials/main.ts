// Edits a credentials file: `npm run credentials`, or `docker compose run credentials`.
import { runCredentialsCli } from './cli.js';

try {
  console.log(await runCredentialsCli(process.argv.slice(2), process.env, readLastUse));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

/** Imports the Redis client only when it is needed. */
async function readLastUse(usernames: string[]): Promise<(string | undefined)[]> {
  const { connectForBackground, createKeys, createRedisCredentialUse } =
    await import('@livegate/core/redis');
  const { createLog } = await import('@livegate/core/telemetry');
  const url = process.env['REDIS_URL'];
  if (!url) throw new Error('--used needs REDIS_URL');
  const prefix = process.env['LIVEGATE_KEY_PREFIX'] ?? '{livegate}';
  const log = createLog('api', 'silent');
  const redis = connectForBackground({ url, name: 'livegate-credentials' }, log);
  try {
    return await createRedisCredentialUse(redis, createKeys(prefix)).read(usernames);
  } finally {
    redis.disconnect();
  }
}
