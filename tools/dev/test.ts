// npm test: runs vitest with a temporary Redis.
// bootstrap.mjs has already installed and built, and changed to the repository's root.
import { resolve } from 'node:path';
import { prepareModels } from '../models/prepare-models.js';
import { startTemporaryRedis } from './find-or-start-redis.js';
import { readTestArgs } from './read-test-args.js';
import {
  guardGroup,
  killServices,
  startService,
  stopServices,
  type Service,
  untilInterrupted,
} from './processes.js';

const graceMs = 10_000;
const interruptedExitCode = 130;

const say = (line: string) => console.log(line);

process.exit(await test(process.argv.slice(2)));

/** Passes all arguments that are not our own to vitest; returns the exit code. */
async function test(args: string[]): Promise<number> {
  const { vitestArgs, settings } = readTestArgs(args);
  const modelsDir = resolve(process.env['LIVEGATE_MODELS_DIR'] || '.data/models');
  // The tests' own, whatever `npm run models -- use` or the environment says.
  const profile = 'default';
  await prepareModels(modelsDir, say, { profile });

  const services: Service[] = [];
  const interrupted = untilInterrupted({ force: () => killServices(services) });
  let release = () => {};
  const redis = await startTemporaryRedis('test', say);
  try {
    const models = { LIVEGATE_MODELS_DIR: modelsDir, LIVEGATE_PROFILE: profile };
    const env = { ...process.env, ...settings, ...models, REDIS_URL: redis.url };
    const vitest = startService(
      'vitest',
      ['node_modules/vitest/vitest.mjs', 'run', ...vitestArgs],
      { env },
    );
    services.push(vitest);
    // With the servers that tests have started. Vitest does not notice that this process is gone.
    if (vitest.process.pid !== undefined) release = guardGroup(vitest.process.pid);
    await Promise.race([vitest.ended, interrupted]);
    return vitest.process.exitCode ?? interruptedExitCode;
  } finally {
    await stopServices(services, graceMs);
    release();
    await redis.stop();
  }
}
