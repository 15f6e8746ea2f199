import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../telemetry/log.js';
import type { Keys } from '../keys.js';
import { reachRedis, type Redis } from './connect.js';

export interface RedisState {
  usedBytes: number;
  /** `maxmemory`; 0 means no limit. */
  limitBytes: number;
  /** False while Redis cannot write to its disk; it then refuses to change any key. */
  isPersisting: boolean;
  /** How long the answer took, in milliseconds. */
  answerMs: number;
}

/** The state of the server; in a cluster, of the fullest leader, and whether all can persist. */
export async function readState(redis: Redis): Promise<RedisState> {
  const servers = 'nodes' in redis ? redis.nodes('master') : [redis];
  const startedAt = performance.now();
  const infos = await reachRedis(() => Promise.all(servers.map((server) => server.info())));
  const answerMs = performance.now() - startedAt;
  const [fullest] = infos.map(parseMemory).toSorted((a, b) => fillOf(b) - fillOf(a));
  const isPersisting = infos.every(parsePersistence);
  return { ...(fullest ?? { usedBytes: 0, limitBytes: 0 }), isPersisting, answerMs };
}

type Memory = Pick<RedisState, 'usedBytes' | 'limitBytes'>;

function parseMemory(info: string): Memory {
  const fact = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return { usedBytes: fact('used_memory'), limitBytes: fact('maxmemory') };
}

/** Both say `err` when the disk is full. A server that hides them counts as healthy. */
function parsePersistence(info: string): boolean {
  return !/^(aof_last_write_status|rdb_last_bgsave_status):err/m.test(info);
}

const fillOf = ({ usedBytes, limitBytes }: Memory) => (limitBytes > 0 ? usedBytes / limitBytes : 0);

/** A Redis server of the product, and the environment variable with its URL. */
export interface WatchedRedis {
  redis: Redis;
  variable: 'REDIS_URL' | 'BLOB_REDIS_URL';
}

/** One server if queue and images share a connection, else two. */
export function listServers(redis: Redis, imageRedis: Redis): WatchedRedis[] {
  const queue = { redis, variable: 'REDIS_URL' } as const;
  const images = { redis: imageRedis, variable: 'BLOB_REDIS_URL' } as const;
  return redis === imageRedis ? [queue] : [queue, images];
}

export interface WatchSettingsOptions {
  servers: WatchedRedis[];
  keys: Keys;
  /** If true, a problem stops the start and is reported later; if false, it is only logged. */
  production: boolean;
  /** How long the start waits for the servers. A server that answers later is checked then. */
  waitMs: number;
  log: Log;
}

export interface RedisSettings {
  /**
   * Settles when all servers have answered or `waitMs` has passed. Rejects in production on a
   * problem.
   */
  firstRead: Promise<void>;
  /** In production: the problem that the last read found, and how to fix it. */
  findProblem(): string | undefined;
  close(): void;
}

const POLL_MS = 10_000;
const RETRY_MS = 100;

/** Polls the server settings with which Redis would lose accepted checks. */
export function watchSettings(options: WatchSettingsOptions): RedisSettings {
  const { servers, keys, production, waitMs, log } = options;
  const problems = new Map<WatchedRedis, string | undefined>();
  const warn = createWarnOnce(log);
  let closed = false;
  const findProblem = () => [...problems.values()].find((problem) => problem !== undefined);

  let timer: NodeJS.Timeout | undefined;
  const firstRead = readAtStart();
  // The start awaits this later, perhaps after the rejection.
  firstRead.catch(() => undefined);
  return {
    firstRead,
    findProblem: () => (production ? findProblem() : undefined),
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };

  async function readAtStart(): Promise<void> {
    const deadline = performance.now() + waitMs;
    while (!(await readAll()) && performance.now() < deadline) await sleep(RETRY_MS);
    schedulePoll();
    const problem = findProblem();
    if (production && problem) throw new Error(problem);
  }

  function schedulePoll(): void {
    if (!closed) timer = setTimeout(() => void readAll().then(schedulePoll), POLL_MS);
  }

  /** False if a server did not answer; its last known problem stays. */
  async function readAll(): Promise<boolean> {
    const reads = await Promise.allSettled(servers.map(readServer));
    return reads.every(({ status }) => status === 'fulfilled');
  }

  async function readServer(server: WatchedRedis): Promise<void> {
    const { evictionPolicy, appendOnly } = await readSettings(server.redis, keys);
    problems.set(server, describeEviction(server, evictionPolicy));
    warn(problems.get(server));
    // Only a warning: a managed Redis may persist its data in a way that INFO does not show.
    if (server.variable === 'REDIS_URL' && !appendOnly) warn(NO_APPEND_ONLY_FILE);
  }
}

function createWarnOnce(log: Log) {
  const logged = new Set<string>();
  return (warning: string | undefined) => {
    if (!warning || logged.has(warning)) return;
    logged.add(warning);
    log.warn(warning);
  };
}

const NO_APPEND_ONLY_FILE =
  'the Redis at REDIS_URL has no append-only file, so a restart loses accepted checks; set ' +
  'appendonly yes, unless it is a managed service that persists its data in another way';

function describeEviction({ variable }: WatchedRedis, policy: string): string | undefined {
  if (policy === 'noeviction') return undefined;
  return (
    `the Redis at ${variable} has maxmemory-policy ${policy}: when its memory is full it drops ` +
    'accepted checks; run CONFIG SET maxmemory-policy noeviction, and set it in its configuration'
  );
}

interface Settings {
  evictionPolicy: string;
  appendOnly: boolean;
}

/**
 * By INFO, because managed servers forbid CONFIG; in a script, so that a cluster routes it by key.
 */
async function readSettings(redis: Redis, keys: Keys): Promise<Settings> {
  const info = String(await redis.eval(READ_INFO, 1, keys.schema));
  return {
    evictionPolicy: /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'noeviction',
    appendOnly: /^aof_enabled:1/m.test(info),
  };
}

const READ_INFO = `return redis.call('INFO', 'memory') .. redis.call('INFO', 'persistence')`;
