import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Machine } from './machine.js';
import { findProgram } from './machine.js';

const run = promisify(execFile);
const maxOutputBytes = 64 * 1024 * 1024;

interface PackageManager {
  program: string;
  /** One line for sh, run as root. */
  install: string;
  /** What a person types. */
  advice: string;
}

// Debian and Ubuntu start a server and enable it at boot on installation, which nobody asked for:
// the run level holds back init scripts; systemd is told afterwards, and only about the new unit.
const aptInstall = `
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  apt-get -q -y -o DPkg::Lock::Timeout=120 update
  apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends redis-server || exit
  if [ -d /run/systemd/system ]; then systemctl disable --now redis-server || true; fi`;

// The distributions are moving from Redis to Valkey; either will do.
const packageManagers: PackageManager[] = [
  { program: 'apt-get', install: aptInstall, advice: 'sudo apt-get install redis-server' },
  {
    program: 'dnf',
    install: 'dnf install -y valkey || dnf install -y redis',
    advice: 'sudo dnf install valkey',
  },
  {
    program: 'apk',
    install: 'apk add --no-cache valkey || apk add --no-cache redis',
    advice: 'sudo apk add valkey',
  },
  {
    program: 'pacman',
    install: 'pacman -Sy --noconfirm valkey',
    advice: 'sudo pacman -S valkey',
  },
  { program: 'brew', install: 'brew install redis', advice: 'brew install redis' },
];

/** Installs Redis where that needs no question; throws one line with the command to run if not. */
export async function installRedis(machine: Machine, say: (line: string) => void): Promise<void> {
  const manager = packageManagers.find(({ program }) => findProgram([program], machine));
  const advice = manager?.advice ?? 'https://redis.io/docs/latest/operate/oss_and_stack/install/';
  const shell = manager && (await findShell(manager, machine));
  if (!manager || !shell) {
    throw new Error(
      `Redis is not installed. Install it, or set REDIS_URL, and try again: ${advice}`,
    );
  }
  say(`Redis is not installed: installing it with ${manager.program} …`);
  const [program, ...args] = shell;
  try {
    await run(program, [...args, manager.install], {
      env: { ...process.env, PATH: machine.searchPath },
      maxBuffer: maxOutputBytes,
    });
  } catch (error) {
    // Its message holds what the package manager wrote to stderr.
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Redis could not be installed; try it yourself: ${advice}\n${reason}`, {
      cause: error,
    });
  }
}

/** The shell that may install: ours for root and for brew, which refuses root; else sudo's. */
async function findShell(
  manager: PackageManager,
  machine: Machine,
): Promise<[string, ...string[]] | undefined> {
  if (machine.isRoot || manager.program === 'brew') return ['/bin/sh', '-c'];
  const sudo = findProgram(['sudo'], machine);
  if (!sudo) return undefined;
  try {
    await run(sudo, ['-n', 'true']);
    return [sudo, '-n', 'sh', '-c'];
  } catch {
    return undefined; // it would ask for a password
  }
}
