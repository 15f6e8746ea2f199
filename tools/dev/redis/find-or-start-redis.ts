import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { parseStoreUrl, type StoreHost } from '@livegate/core/redis';
import {
  aptInstaller,
  describeMachine,
  findProgram,
  type InstallableProgram,
  installProgram,
  type Machine,
} from '../install-program.js';
import { pingRedis } from './ask-redis.js';
import { claimDataDir, type FoundServer, recordServer, releaseDataDir } from './data-dir-record.js';
import { launchServer, stopServer, untilReady, untilSilent } from './redis-server.js';

const defaultPort = 6379;
const connectWithinMs = 5000;

const serverPrograms = ['redis-server', 'valkey-server'];

const apt = aptInstaller('redis-server');
// systemd ignores the run level that holds back init scripts; it is told about the new unit alone.
const stopUnit =
  'if [ -d /run/systemd/system ]; then systemctl disable --now redis-server || true; fi';

/** The distributions are moving from Redis to Valkey; either will do. */
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
    'Install it as https://redis.io/docs/latest/operate/oss_and_stack/install/ says, or set REDIS_URL.',
};

export interface RedisOptions {
  /** Where the server keeps its append-only file; made if it is missing. */
  dataDir: string;
  say: (line: string) => void;
  machine?: Machine;
  /** How large its append-only file grows, beyond what it holds, before it is rewritten. */
  rewriteAt?: string;
}

export interface Redis {
  url: string;
  /** Settles when the server is gone; absent where it is not ours to watch. */
  gone?: Promise<unknown>;
  /** Leaves a server alone that we did not start. */
  stop: () => Promise<void>;
}

export interface FindOptions extends RedisOptions {
  /** REDIS_URL: used and nothing else, if it is set. */
  url?: string | undefined;
  /** Where a Redis of this machine is looked for. */
  wellKnownPort?: number;
}

/** The Redis that is configured; else one that already runs here; else a child of ours. */
export async function findOrStartRedis(options: FindOptions): Promise<Redis> {
  const { url, wellKnownPort = defaultPort } = options;
  if (url) return { url: await requireReachable(url), stop: leaveRunning };
  if (await pingRedis(wellKnownPort)) {
    return { url: `redis://127.0.0.1:${wellKnownPort}`, stop: leaveRunning };
  }
  return await startOwnRedis(options);
}

/** Of several, one that answers knows the others. */
async function requireReachable(url: string): Promise<string> {
  const { hosts } = parseStoreUrl(url);
  try {
    await Promise.any(hosts.map(requireConnection));
    return url;
  } catch (error) {
    const places = hosts.map(({ host, port }) => `${host}:${port}`).join(' or ');
    throw new Error(`nothing answers at ${places}: start that Redis, or unset REDIS_URL`, {
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
  // Who started it stops it.
}

/** A server of our own on a free loopback port, set up as in production. Throws what to do. */
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

async function requireServerProgram(options: RedisOptions): Promise<string> {
  const { say, machine = describeMachine() } = options;
  const installed = findProgram(serverPrograms, machine);
  if (installed) return installed;
  await installProgram(redisProgram, machine, say);
  const program = findProgram(serverPrograms, machine);
  if (!program) throw new Error(`Redis was installed, but not into PATH: ${machine.searchPath}`);
  return program;
}

/** Someone else's server is used and left alone; an orphan becomes ours to stop. */
async function joinServer(found: FoundServer, dataDir: string): Promise<Redis> {
  const { isOrphan, ...server } = found;
  const url = urlOf(server.port);
  if (!(await untilReady(server))) throw new Error(`the Redis that used ${dataDir} has just ended`);
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
