// `node tools/dev/bootstrap.mjs [command] [args…]`: makes a fresh clone runnable, then runs a command.
//
// The .mjs files of this folder run before node_modules exists: plain JavaScript, node built-ins only.
// Progress goes to stderr, so that a command's own stdout can be piped.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { holdLock } from './hold-lock.mjs';
import { installDependencies } from './install-dependencies.mjs';

const commands = {
  start: 'tools/dist/dev/start.js',
  test: 'tools/dist/dev/test.js',
  models: 'tools/dist/models/main.js',
  bench: 'tools/dist/bench/main.js',
  evaluate: 'tools/dist/evaluate/main.js',
  // The program that the api's image ships as well.
  credentials: 'apps/api/dist/credentials/main.js',
};

const say = (line) => console.error(line);

try {
  // Where npm runs its scripts, too: every command may count on it.
  process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
  await bootstrap(process.argv.slice(2));
} catch (error) {
  say(`\nlivegate: ${describeFailure(error)}`);
  process.exit(1);
}

/** Without a command it only installs: what lint and format need. */
async function bootstrap([command, ...args]) {
  requireNodeVersion();
  // `npm start` and `npm test` may begin together: one installs and builds, the other waits.
  await holdLock({ path: '.data/bootstrap.lock', say }, async () => {
    await installDependencies(say);
    if (command) build();
  });
  // The tests choose their own settings.
  if (command !== 'test' && existsSync('.env')) process.loadEnvFile('.env');
  if (command) await run(command, args);
}

function requireNodeVersion() {
  const range = JSON.parse(readFileSync('package.json', 'utf8')).engines.node;
  if (range.split(' || ').some((part) => satisfies(process.versions.node, part))) return;
  throw new Error(`this is Node ${process.versions.node}, but Livegate needs Node ${range}`);
}

/** Just the two forms that package.json uses: ^MAJOR.MINOR and >=MAJOR.MINOR. */
function satisfies(version, part) {
  const [major, minor] = version.split('.').map(Number);
  const [neededMajor, neededMinor] = part.match(/\d+/g).map(Number);
  if (major === neededMajor) return minor >= neededMinor;
  return part.startsWith('>=') && major > neededMajor;
}

function build() {
  const { status } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-b'], {
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Error('the TypeScript build failed: correct the errors above');
}

/** The command runs in this process, as if it had been started by itself. */
async function run(command, args) {
  if (!(command in commands)) {
    throw new Error(`unknown command "${command}"; one of: ${Object.keys(commands).join(', ')}`);
  }
  const script = resolve(commands[command]);
  process.argv = [process.execPath, script, ...args];
  await import(pathToFileURL(script).href);
}

/** A plain Error is an expected failure and says what to do; of anything else the stack is wanted. */
function describeFailure(error) {
  return error instanceof Error && error.name === 'Error' ? error.message : inspect(error);
}
