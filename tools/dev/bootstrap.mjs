// `node tools/dev/bootstrap.mjs [command] [args…]`: installs and builds if necessary, then runs a command.
//
// The .mjs files in this folder run before node_modules exists: plain JavaScript, Node's modules only.
// Progress is printed to stderr, so that a command's own stdout can be piped.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { arePagesCurrent, bundlePages, compile, isCompiled } from './build.mjs';
import { installDependencies } from './install-dependencies.mjs';

const commands = {
  start: 'tools/dist/bundle/start.js',
  test: 'tools/dist/dev/test.js',
  models: 'tools/dist/models/main.js',
  bench: 'tools/dist/bench/main.js',
  soak: 'tools/dist/soak/main.js',
  evaluate: 'tools/dist/evaluate/main.js',
  docs: 'tools/dist/docs/main.js',
  audit: 'tools/dist/docs/advisories.js',
  replay: 'tools/dist/replay/main.js',
  // The same program as in the api image.
  credentials: 'apps/api/dist/credentials/main.js',
};

const lockPollMs = 200;

const say = (line) => console.error(line);

try {
  // Commands rely on the repository's root as working directory, which is where npm runs scripts.
  process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
  await bootstrap(process.argv.slice(2));
} catch (error) {
  say(`\nlivegate: ${describeFailure(error)}`);
  process.exit(1);
}

/** Without a command it only installs, which is all that lint and format need; `build` runs none. */
async function bootstrap([command, ...args]) {
  requireNodeVersion();
  // `npm start` and `npm test` may run at the same time: one installs and builds, the other waits.
  await holdLock('.data/bootstrap.lock', async () => {
    await installDependencies(say);
    if (command) await build();
  });
  // The tests choose their own settings.
  if (command !== 'test' && existsSync('.env')) process.loadEnvFile('.env');
  if (command && command !== 'build') await run(command, args);
}

/** Runs `work` with the lock file held. A lock whose process has died is ignored. */
async function holdLock(path, work) {
  await takeLock(path);
  try {
    await work();
  } finally {
    rmSync(path, { force: true });
  }
}

async function takeLock(path) {
  mkdirSync(dirname(path), { recursive: true });
  for (let announced = false; !createLock(path);) {
    if (!isHolderAlive(path)) {
      rmSync(path, { force: true });
      continue;
    }
    if (!announced) say(`Waiting for the process that holds the lock ${path} …`);
    announced = true;
    await sleep(lockPollMs);
  }
}

function createLock(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function isHolderAlive(path) {
  try {
    // Signal 0 only checks that the process exists. EPERM: it exists and belongs to another user.
    return process.kill(Number(readFileSync(path, 'utf8')), 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function requireNodeVersion() {
  const range = JSON.parse(readFileSync('package.json', 'utf8')).engines.node;
  if (range.split(' || ').some((part) => satisfies(process.versions.node, part))) return;
  throw new Error(`Livegate needs Node ${range}, and this is Node ${process.versions.node}`);
}

/** Supports only the two forms in package.json: ^MAJOR.MINOR and >=MAJOR.MINOR. */
function satisfies(version, part) {
  const [major, minor] = version.split('.').map(Number);
  const [neededMajor, neededMinor] = part.match(/\d+/g).map(Number);
  if (major === neededMajor) return minor >= neededMinor;
  return part.startsWith('>=') && major > neededMajor;
}

async function build() {
  if (!isCompiled()) await compile();
  if (!arePagesCurrent()) await bundlePages();
}

/** Runs the command in this process, with the arguments of a separate one. */
async function run(command, args) {
  if (!(command in commands)) {
    throw new Error(`unknown command "${command}": use one of ${Object.keys(commands).join(', ')}`);
  }
  const script = resolve(commands[command]);
  process.argv = [process.execPath, script, ...args];
  await import(pathToFileURL(script).href);
}

/** A plain Error is an expected failure with advice in its message; for all others show the stack. */
function describeFailure(error) {
  return error instanceof Error && error.name === 'Error' ? error.message : inspect(error);
}
