// npm start: runs one api, one worker and Redis on this machine until Ctrl-C.
// bootstrap.mjs has already installed and built, and changed to the repository's root.
import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { apiConfigRules, apiConfigSchema } from '@livegate/api/gateway/config';
import { findConfigProblems, refuseConfig } from '@livegate/core/runtime';
import { workerConfigRules, workerConfigSchema } from '@livegate/worker/config';
import { prepareModels } from '../models/prepare-models.js';
import { requireFreePort } from './ports.js';
import {
  killServices,
  nativeEnv,
  type Service,
  startService,
  stopServices,
  untilInterrupted,
  untilReady,
} from './processes.js';
import {
  findRedis,
  type Redis,
  requireServerProgram,
  startOwnRedis,
} from './find-or-start-redis.js';

const readyWithinMs = 180_000;
// Time for a worker to finish its checks; the default of most supervisors.
const graceMs = 30_000;
const samplePath = resolve('.data/samples/selfie.jpg');

const isWatching = process.argv.includes('--watch');

const say = (line: string) => console.log(line);

process.exit(await start());

/** Starts all services and stops them in reverse order; returns the exit code. */
async function start(): Promise<number> {
  refuseConfig([
    ...findConfigProblems(apiConfigSchema, process.env, apiConfigRules),
    ...findConfigProblems(workerConfigSchema, process.env, workerConfigRules),
  ]);
  const port = readPort();
  const host = process.env['LIVEGATE_HOST'] || '127.0.0.1';
  await requireFreePort(port, host);
  const modelsDir = resolve(process.env['LIVEGATE_MODELS_DIR'] || '.data/models');
  await prepareModels(modelsDir, say);
  if (!existsSync(samplePath)) await writeSample();

  const services: Service[] = [];
  const interrupted = untilInterrupted({
    force: () => killServices(services),
    reload: () => reloadModels(services),
  });
  const found = await findRedis({ url: process.env['REDIS_URL'] });
  const [redis, images] = found ? [found] : await startRedises();
  try {
    const env = { PORT: String(port), REDIS_URL: redis.url, LIVEGATE_MODELS_DIR: modelsDir };
    const blobEnv = images ? { BLOB_REDIS_URL: images.url } : {};
    const given = { ...nativeEnv, ...allowReceivers(host), ...process.env };
    services.push(...startServices({ ...given, ...env, ...blobEnv }));
    const failure = untilFailure(services, [redis, ...(images ? [images] : [])]);
    const url = `http://${describeHost(host)}:${port}`;
    return await serve(url, Promise.race([interrupted.then(() => undefined), failure]));
  } finally {
    await stopServices(services, graceMs);
    await images?.stop();
    await redis.stop();
  }
}

/** Imports sharp only here, because it would delay every other start. */
async function writeSample(): Promise<void> {
  const { writeSamplePhoto } = await import('./sample-photo.js');
  await writeSamplePhoto(samplePath);
}

/** The worker reads its models again. */
function reloadModels(services: Service[]): void {
  // Under `--watch` the service is a watcher, which the signal would end.
  if (isWatching) return say('SIGHUP: npm run models -- use PROFILE swaps the models under watch');
  services.find(({ name }) => name === 'worker')?.process.kill('SIGHUP');
}

/** Allows webhooks to this machine, unless other machines may call the API or this is production. */
function allowReceivers(host: string): NodeJS.ProcessEnv {
  const isLoopback = ['127.0.0.1', '::1', 'localhost'].includes(host);
  if (!isLoopback || process.env['NODE_ENV'] === 'production') return {};
  return { LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1,::1' };
}

/** The host for a URL: loopback for a server that listens on every address. */
function describeHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

function readPort(): number {
  const port = Number(process.env['PORT'] || '8080');
  if (port === 0) throw new Error('PORT must not be 0: choose the port that callers use');
  return port;
}

function startServices(env: NodeJS.ProcessEnv): Service[] {
  // A watcher restarts for the files that the compiler writes, which a bundle does not load.
  const nodeArgs = isWatching ? ['--watch', '--watch-preserve-output'] : [];
  const program = isWatching ? 'main.js' : 'bundle/main.js';
  const startApp = (app: string, own: NodeJS.ProcessEnv = {}) =>
    startService(app, [...nodeArgs, `apps/${app}/dist/${program}`], { env: { ...env, ...own } });
  // Both processes serve Prometheus metrics, so each needs its own port.
  const scrapePort = Number(env['OTEL_EXPORTER_PROMETHEUS_PORT'] || 9464);
  const services = [
    startApp('api'),
    startApp('worker', { OTEL_EXPORTER_PROMETHEUS_PORT: `${scrapePort + 1}` }),
  ];
  const tsc = ['node_modules/typescript/bin/tsc', '-b', '--watch', '--preserveWatchOutput'];
  return isWatching ? [...services, startService('compiler', tsc, { env })] : services;
}

async function startRedises(): Promise<[Redis, images: Redis | undefined]> {
  // First, because it may ask whether to install one.
  await requireServerProgram({ say });
  const dataDir = resolve('.data/redis');
  return await Promise.all([startOwnRedis({ dataDir, say }), startImageRedis()]);
}

/**
 * Starts a second Redis for images, so that deleted images leave the disk soon: an append-only file keeps
 * deleted values until it is rewritten, and this Redis is small enough to rewrite it often.
 */
async function startImageRedis(): Promise<Redis | undefined> {
  if (process.env['BLOB_REDIS_URL']) return undefined;
  return await startOwnRedis({ dataDir: resolve('.data/redis-images'), rewriteAt: '1mb', say });
}

/** Resolves with the reason when a service or Redis ends unexpectedly. */
async function untilFailure(services: Service[], redises: Redis[]): Promise<string> {
  const ends = services.map(async ({ name, ended }) => `the ${name} ended (${await ended})`);
  for (const { gone } of redises) if (gone) ends.push(gone.then(() => 'Redis ended'));
  return await Promise.race(ends);
}

/** `ended` resolves when it is time to stop: with a reason for a failure, otherwise with undefined. */
async function serve(url: string, ended: Promise<string | undefined>): Promise<number> {
  const ready = untilReady(`${url}/readyz`, readyWithinMs).then(() => 'ready' as const);
  if ((await Promise.race([ready, ended])) === 'ready') sayHowToUse(url);
  const failure = await ended;
  say(failure ? `\nlivegate: ${failure} unexpectedly; stopping …` : '\nStopping …');
  return failure ? 1 : 0;
}

function sayHowToUse(url: string): void {
  // npm runs scripts in the repository's root, but the user pastes the command in INIT_CWD.
  const photo = relative(process.env['INIT_CWD'] ?? process.cwd(), samplePath);
  const credentials = process.env['LIVEGATE_CREDENTIALS_FILE']
    ? `-u USERNAME:PASSWORD -H 'x-api-key: KEY'`
    : `-u default-username:default-password -H 'x-api-key: default-api-key'`;
  say(`\nLivegate is ready at ${url} (Ctrl-C stops it). Try it:\n`);
  say(`  curl ${credentials} -F image=@${photo} ${url}/face/v1/passive-liveness\n`);
}
