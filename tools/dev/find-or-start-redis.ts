import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseStoreUrl, type StoreHost } from '@livegate/core/store-url';
import {
  aptInstaller,
  describeMachine,
  findProgram,
  type InstallableProgram,
  installProgram,
  type Machine,
} from './install-program.js';
import { guardGroup } from './processes.js';
import {
  claimDataDir,
  type FoundServer,
  launchServer,
  pingRedis,
  recordServer,
  releaseDataDir,
  stopServer,
  untilReady,
  untilSilent,
} from './redis-server.js';

const defaultPort = 6379;
const connectWithinMs = 5000;

const serverPrograms = ['redis-server', 'valkey-server'];

const apt = aptInstaller('redis-server');
// systemd ignores RUNLEVEL, so stop and disable the new unit.
const stopUnit =
  'if [ -d /run/systemd/system ]; then systemctl disable --now redis-server || true; fi';

/** Distributions are moving from Redis to Valkey; Livegate works with both. */
const redisProgram: InstallableProgram = {
  name: 'Redis',
  installers: {
    'apt-get': { ...apt, shell: `${apt.shell}\n${stopUnit}` },
    dnf: {
      shell: 'dnf install -y valkey || dnf install -y redis',
      advice: 'sudo dnf install valkey',
    },
    apk: {
      shell: 'apk add --no-cache valkey || apk add --no-cache redis',
      advice: 'sudo apk add valkey',
    },
    pacman: { shell: 'pacman -Sy --noconfirm valkey', advice: 'sudo pacman -S valkey' },
    brew: { shell: 'brew install redis', advice: 'brew install redis' },
  },
  otherwise:
    'Install it (https://redis.io/docs/latest/operate/oss_and_stack/install/), or set REDIS_URL.',
};

type Say = (line: string) => void;

export interface RedisOptions {
  /** Folder of the append-only file; created if it is missing. */
  dataDir: string;
  say: Say;
  machine?: Machine;
  /** Size of the append-only file from which Redis rewrites it, as in redis.conf. */
  rewriteAt?: string;
}

export interface Redis {
  url: string;
  /** Settles when the server has ended; absent for a server that this process did not start. */
  gone?: Promise<unknown>;
  /** Stops the server, unless another process started it. */
  stop: () => Promise<void>;
}

export interface FindOptions {
  /** REDIS_URL; if set, no other Redis is used. */
  url?: string | undefined;
  /** The port at which to look for a running Redis. */
  wellKnownPort?: number;
}

/** The configured Redis, or else one that already runs on this machine. */
export async function findRedis({
  url,
  wellKnownPort = defaultPort,
}: FindOptions): Promise<Redis | undefined> {
  if (url) return { url: await requireReachable(url), stop: leaveRunning };
  if (await pingRedis(wellKnownPort)) {
    return { url: `redis://127.0.0.1:${wellKnownPort}`, stop: leaveRunning };
  }
  return undefined;
}

/** One reachable host is enough: it knows the others of its group. */
async function requireReachable(url: string): Promise<string> {
  const { hosts } = parseStoreUrl(url);
  try {
    await Promise.any(hosts.map(requireConnection));
    return url;
  } catch (error) {
    const places = hosts.map(({ host, port }) => `${host}:${port}`).join(' or ');
    throw new Error(`no Redis answers at ${places}: start it, or unset REDIS_URL`, {
      cause: error,
    });
  }
}

async function requireConnection(place: StoreHost): Promise<void> {
  const socket = connect(place);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(connectWithinMs) });
  } finally {
    socket.destroy();
  }
}

async function leaveRunning(): Promise<void> {
  // The process that started the server stops it.
}

/** Starts a server on a free loopback port, configured as in production, or joins the running one. */
export async function startOwnRedis(options: RedisOptions): Promise<Redis> {
  const { dataDir } = options;
  const program = await requireServerProgram(options);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const found = await claimDataDir(dataDir);
  if (found) return await joinServer(found, dataDir);
  try {
    const { server, gone } = await launchServer(program, options);
    return { url: urlOf(server.port), gone, stop: () => stopAndRelease(server.pid, gone, dataDir) };
  } catch (error) {
    await releaseDataDir(dataDir);
    throw error;
  }
}

/**
 * Starts a server with an empty folder of its own. Both are gone after `stop`, or soon after this process
 * has ended without it.
 */
export async function startTemporaryRedis(name: string, say: Say): Promise<Redis> {
  const program = await requireServerProgram({ say });
  const dataDir = await mkdtemp(join(tmpdir(), `livegate-${name}-`));
  const { server, gone } = await launchServer(program, { dataDir });
  const release = guardGroup(server.pid, dataDir);
  const stop = async () => {
    await stopServer(server.pid, gone);
    release();
    await rm(dataDir, { recursive: true });
  };
  return { url: urlOf(server.port), gone, stop };
}

/** The path of a Redis server, which is installed if it is missing. */
export async function requireServerProgram({
  say,
  machine = describeMachine(),
}: Pick<RedisOptions, 'say' | 'machine'>): Promise<string> {
  const installed = findProgram(serverPrograms, machine);
  if (installed) return installed;
  await installProgram(redisProgram, machine, say);
  const program = findProgram(serverPrograms, machine);
  if (!program) throw new Error(`Redis was installed, but is not in PATH: ${machine.searchPath}`);
  return program;
}

/** Uses another process's server without stopping it later; takes over an orphan. */
async function joinServer(found: FoundServer, dataDir: string): Promise<Redis> {
  const { isOrphan, ...server } = found;
  const url = urlOf(server.port);
  if (!(await untilReady(server)))
    throw new Error(`the Redis in ${dataDir} has just ended: try again`);
  const gone = untilSilent(server);
  if (!isOrphan) return { url, gone, stop: async () => {} };
  await recordServer(dataDir, server);
  return { url, gone, stop: () => stopAndRelease(server.pid, gone, dataDir) };
}

async function stopAndRelease(pid: number, gone: Promise<unknown>, dataDir: string) {
  await stopServer(pid, gone);
  await releaseDataDir(dataDir);
}

function urlOf(port: number): string {
  return `redis://127.0.0.1:${port}`;
}
