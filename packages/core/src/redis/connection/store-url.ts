import { z } from 'zod';
import { type ConfigRule, parsedBy } from '../../runtime/read-config.js';

export { imageKeysRule } from '../images/image-keys.js';

/** The host and port of one server. */
export interface StoreHost {
  host: string;
  port: number;
}

/** A parsed Redis URL. For a single server, ioredis parses the rest of the URL. */
export type StoreAddress = { kind: 'server'; hosts: [StoreHost] } | StoreGroup;

/** The servers of a cluster or behind sentinels, and their credentials. */
export interface StoreGroup {
  kind: 'cluster' | 'sentinel';
  /** Some nodes of the cluster, or some sentinels; the first to answer lists the others. */
  hosts: StoreHost[];
  tls: boolean;
  username: string | undefined;
  password: string | undefined;
  /** Database number; a cluster has only 0. */
  database: number;
  /** The sentinels' name for the leader; empty for a cluster. */
  master: string;
  /** For the sentinels themselves. */
  sentinelUsername: string | undefined;
  sentinelPassword: string | undefined;
}

const PROTOCOL = /^rediss?(?:\+(cluster|sentinel))?:$/;
const DEFAULT_PORTS = { server: 6379, cluster: 6379, sentinel: 26_379 };
const PARAMETERS = {
  cluster: ['addr'],
  sentinel: ['addr', 'master', 'sentinel_username', 'sentinel_password'],
};

/**
 * Reads `redis://user:password@host:6379/0`, `redis+cluster://…?addr=host2:6379&addr=host3` and
 * `redis+sentinel://…?master=name&addr=…`; `rediss` means TLS. Throws an Error that never quotes
 * the URL, which may contain a password.
 */
export function parseStoreUrl(text: string): StoreAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const protocol = PROTOCOL.exec(url?.protocol ?? '');
  if (!url?.host || !protocol) {
    throw new Error('expected redis://, redis+cluster:// or redis+sentinel://, or rediss for TLS');
  }
  const kind = protocol[1] as StoreGroup['kind'] | undefined;
  return kind ? parseGroup(url, kind) : { kind: 'server', hosts: [parseHost(url.host, 'server')] };
}

function parseGroup(url: URL, kind: StoreGroup['kind']): StoreGroup {
  const query = readQuery(url, kind);
  const master = query.get('master') ?? '';
  if (kind === 'sentinel' && !master) throw new Error('sentinels need ?master=NAME');
  return {
    kind,
    hosts: [url.host, ...query.getAll('addr')].map((addr) => parseHost(addr, kind)),
    tls: url.protocol.startsWith('rediss'),
    username: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    database: readDatabase(url, kind),
    master,
    sentinelUsername: query.get('sentinel_username') ?? undefined,
    sentinelPassword: query.get('sentinel_password') ?? undefined,
  };
}

/** Refuses unknown parameters: a misspelled one would drop a node or a password silently. */
function readQuery({ searchParams }: URL, kind: StoreGroup['kind']): URLSearchParams {
  const unknown = [...searchParams.keys()].find((name) => !PARAMETERS[kind].includes(name));
  if (unknown !== undefined) throw new Error(`no parameter of a ${kind} is called ${unknown}`);
  return searchParams;
}

function parseHost(addr: string, kind: StoreAddress['kind']): StoreHost {
  const text = `redis://${addr}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.host || url.host !== addr) throw new Error('an addr is HOST or HOST:PORT');
  // An IPv6 address has brackets in a URL, but not in connection options.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return { host, port: Number(url.port || DEFAULT_PORTS[kind]) };
}

function readDatabase({ pathname }: URL, kind: StoreGroup['kind']): number {
  const path = /^\/?(\d*)$/.exec(pathname);
  if (!path) throw new Error('after the hosts, only the number of a database may follow');
  const database = Number(path[1]);
  if (kind === 'cluster' && database > 0) throw new Error('a cluster has only database 0');
  return database;
}

/** Whether the prefix has a part in braces, so that a cluster puts all keys with it in one slot. */
export function hasHashTag(prefix: string): boolean {
  return /^[^{]*\{[^}]+\}/.test(prefix);
}

/** A Redis URL in the environment. */
function storeUrl() {
  return parsedBy((url) => {
    parseStoreUrl(url);
    return url;
  });
}

/** The Redis servers and the key prefix that gateways and workers share. */
export const redisConfig = {
  REDIS_URL: storeUrl().default('redis://127.0.0.1:6379'),
  BLOB_REDIS_URL: storeUrl().optional(),
  LIVEGATE_KEY_PREFIX: z.string().min(1).default('{livegate}'),
  LIVEGATE_IMAGE_KEYS_FILE: z.string().optional(),
};

/** A cluster refuses commands and scripts whose keys are in different slots. */
export const oneSlotRule: ConfigRule = z
  .object({
    REDIS_URL: redisConfig.REDIS_URL,
    BLOB_REDIS_URL: redisConfig.BLOB_REDIS_URL,
    LIVEGATE_KEY_PREFIX: redisConfig.LIVEGATE_KEY_PREFIX,
  })
  .superRefine((config, context) => {
    const urls = [config.REDIS_URL, config.BLOB_REDIS_URL ?? config.REDIS_URL];
    if (!urls.some((url) => parseStoreUrl(url).kind === 'cluster')) return;
    if (hasHashTag(config.LIVEGATE_KEY_PREFIX)) return;
    context.addIssue({
      code: 'custom',
      path: ['LIVEGATE_KEY_PREFIX'],
      message: 'must have a part in braces, such as {livegate}: Redis is a cluster',
    });
  });
