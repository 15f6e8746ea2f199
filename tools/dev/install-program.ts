import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const maxOutputBytes = 64 * 1024 * 1024;

/** The machine as this process may use it; tests describe a different one. */
export interface Machine {
  /** Folders with programs, in the format of PATH. */
  searchPath: string;
  isRoot: boolean;
  /** The reason why packages may be installed without a question; undefined if they may not. */
  consent?: string | undefined;
  /** Asks the user at the terminal; absent without a terminal. */
  confirm?: ((question: string) => Promise<boolean>) | undefined;
}

/** A program outside npm, and how each system package manager installs it. */
export interface InstallableProgram {
  name: string;
  /** Keyed by the package manager's command; the first one that exists is used. */
  installers: Record<string, Installer>;
  /** Advice if no package manager is found. */
  otherwise: string;
}

interface Installer {
  /** A shell script, run as root. */
  shell: string;
  /** The command for the user. */
  advice: string;
}

/**
 * Debian and Ubuntu start a server when they install it and enable it at boot. RUNLEVEL=1 prevents the
 * start by init scripts.
 */
export function aptInstaller(packages: string): Installer {
  const apt = 'apt-get -q -y -o DPkg::Lock::Timeout=120';
  return {
    shell: `
      export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
      ${apt} update
      ${apt} install --no-install-recommends ${packages} || exit`,
    advice: `sudo apt-get install ${packages}`,
  };
}

/** Decide whether a package manager may run without a question. */
export interface Circumstances {
  args: string[];
  env: NodeJS.ProcessEnv;
  isRoot: boolean;
  isContainer: boolean;
}

export function describeMachine(): Machine {
  const isRoot = process.getuid?.() === 0;
  const circumstances = { args: process.argv, env: process.env, isRoot };
  return {
    searchPath: process.env['PATH'] ?? '',
    isRoot,
    consent: findConsent({ ...circumstances, isContainer: runsInContainer() }),
    confirm: process.stdin.isTTY && process.stdout.isTTY ? confirm : undefined,
  };
}

/** The reason why packages may be installed without a question, or undefined. */
export function findConsent({ args, env, isRoot, isContainer }: Circumstances): string | undefined {
  if (args.includes('--install')) return 'as --install asks';
  if (env['CI'] && env['CI'] !== 'false') return 'as this is CI';
  if (isRoot && isContainer) return 'as root in a container';
  return undefined;
}

/** The absolute path of the first of these programs that is installed. */
export function findProgram(
  names: string[],
  { searchPath }: Pick<Machine, 'searchPath'>,
): string | undefined {
  const directories = searchPath.split(delimiter).filter((directory) => directory !== '');
  return names
    .flatMap((name) => directories.map((directory) => join(directory, name)))
    .find(isExecutable);
}

/**
 * Runs the system's package manager with `consent` or after a yes at the terminal. Otherwise throws an
 * Error with the command to run.
 */
export async function installProgram(
  { name, installers, otherwise }: InstallableProgram,
  machine: Machine,
  say: (line: string) => void,
): Promise<void> {
  const manager = Object.keys(installers).find((program) => findProgram([program], machine));
  if (!manager) throw new Error(`${name} is not installed. ${otherwise}`);
  const { shell, advice } = installers[manager]!;
  const isAgreed =
    machine.consent ?? (await machine.confirm?.(`${name} is not installed. Run "${advice}"?`));
  if (!isAgreed) {
    throw new Error(
      `${name} is not installed. Install it with "${advice}", or run this command again with "-- --install".`,
    );
  }
  say(
    `${name} is not installed: installing it with ${manager}, ${machine.consent ?? 'as agreed'} …`,
  );
  try {
    await runAsRoot(shell, manager, machine);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${name} could not be installed. Run it yourself: ${advice}\n${reason}`, {
      cause: error,
    });
  }
}

/** Runs without sudo for root and for brew, which refuses root. sudo may ask for a password. */
async function runAsRoot(shell: string, manager: string, machine: Machine): Promise<void> {
  const options = { env: { ...process.env, PATH: machine.searchPath }, maxBuffer: maxOutputBytes };
  if (machine.isRoot || manager === 'brew') {
    // The message of the thrown error contains the stderr of the package manager.
    await run('/bin/sh', ['-c', shell], options);
    return;
  }
  const flags = machine.confirm ? [] : ['--non-interactive'];
  const sudo = spawn('sudo', [...flags, '/bin/sh', '-c', shell], { ...options, stdio: 'inherit' });
  const [code] = (await once(sudo, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`sudo exited with ${code}`);
}

/** Docker and Podman create these files; in other containers, process 1 is not an init system. */
function runsInContainer(): boolean {
  if (existsSync('/.dockerenv') || existsSync('/run/.containerenv')) return true;
  try {
    return !/^(systemd|init|launchd|runit|openrc-init)$/.test(
      readFileSync('/proc/1/comm', 'utf8').trim(),
    );
  } catch {
    return false; // not Linux
  }
}

/** Ctrl-C and Ctrl-D mean no. */
async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const ended = new AbortController();
  terminal.once('SIGINT', () => ended.abort()).once('close', () => ended.abort());
  try {
    const answer = await terminal.question(`${question} [y/N] `, { signal: ended.signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    return false;
  } finally {
    terminal.close();
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
