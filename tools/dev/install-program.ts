import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const maxOutputBytes = 64 * 1024 * 1024;

/** What this process may use of the machine; tests describe another one. */
export interface Machine {
  /** Where programs are looked for, as in PATH. */
  searchPath: string;
  isRoot: boolean;
  /** Why a package may be installed without a question; undefined where it may not. */
  consent?: string | undefined;
  /** Asks the person at the terminal; absent where there is no terminal. */
  confirm?: ((question: string) => Promise<boolean>) | undefined;
}

/** A program that is not Node's, and how each package manager installs it. */
export interface InstallableProgram {
  name: string;
  /** By the package manager's own program; the first that is found is used. */
  installers: Record<string, Installer>;
  /** What to do where none of them is found. */
  otherwise: string;
}

interface Installer {
  /** One line for sh, run as root. */
  shell: string;
  /** What a person types. */
  advice: string;
}

/**
 * Debian and Ubuntu start a server and enable it at boot on installation, which nobody asked for: the
 * run level holds back init scripts.
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

/** Circumstances that decide whether a package manager may be run. */
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

/** The reason to install without a question, or undefined. */
export function findConsent({ args, env, isRoot, isContainer }: Circumstances): string | undefined {
  if (args.includes('--install')) return 'as --install asks';
  if (env['CI'] && env['CI'] !== 'false') return 'as this is CI';
  if (isRoot && isContainer) return 'as root in a container';
  return undefined;
}

/** Absolute path of the first of these programs that is installed. */
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
 * Runs the system's package manager where that is agreed: by `consent`, or by a yes at the terminal.
 * Otherwise throws one line with the command to run.
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

/** Brew refuses root. sudo asks for its password at the terminal, where there is one. */
async function runAsRoot(shell: string, manager: string, machine: Machine): Promise<void> {
  const options = { env: { ...process.env, PATH: machine.searchPath }, maxBuffer: maxOutputBytes };
  if (machine.isRoot || manager === 'brew') {
    // The error's message holds what the package manager wrote to stderr.
    await run('/bin/sh', ['-c', shell], options);
    return;
  }
  const flags = machine.confirm ? [] : ['--non-interactive'];
  const sudo = spawn('sudo', [...flags, '/bin/sh', '-c', shell], { ...options, stdio: 'inherit' });
  const [code] = (await once(sudo, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`sudo ended with ${code}`);
}

/** Container runtimes leave these marks; without them, process 1 is not an init system. */
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
