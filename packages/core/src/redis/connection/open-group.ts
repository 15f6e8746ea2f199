import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { Log } from '../../telemetry/log.js';
import type { StoreGroup } from './store-url.js';

/** Between two looks at who leads: after a failover, and while nothing calls for one. */
const RETRY_MS = 100;
const REFRESH_MS = 5000;

/** What tells the three kinds of connection apart. */
export type RetryOptions = Pick<
  RedisOptions,
  'commandTimeout' | 'enableOfflineQueue' | 'maxRetriesPerRequest' | 'socketTimeout'
>;

export interface ConnectionOptions extends RetryOptions {
  connectionName: string;
  retryStrategy(attempt: number): number;
  reconnectOnError(error: Error): false | 2;
}

/** Opens a connection to servers that are one Redis, with the same promises as one to a single server. */
export function openGroup(group: StoreGroup, options: ConnectionOptions): Redis | Cluster {
  return group.kind === 'cluster' ? openCluster(group, options) : openBySentinels(group, options);
}

/** A connection to whoever leads now, by what the sentinels say. */
function openBySentinels(group: StoreGroup, options: ConnectionOptions): Redis {
  return new Redis({
    ...options,
    ...loginOf(group),
    db: group.database,
    sentinels: group.hosts,
    name: group.master,
    ...(group.sentinelUsername && { sentinelUsername: group.sentinelUsername }),
    ...(group.sentinelPassword && { sentinelPassword: group.sentinelPassword }),
    ...(group.tls && { sentinelTLS: {}, enableTLSForSentinelMode: true }),
    // A leader whose machine is gone closes no connection; what is sent there would wait for minutes.
    failoverDetector: true,
    sentinelReconnectStrategy: options.retryStrategy,
  });
}

/** A connection to each node that holds keys of ours, which is one. */
function openCluster(group: StoreGroup, options: ConnectionOptions): Cluster {
  const { retryStrategy, enableOfflineQueue = true, ...redisOptions } = options;
  const { commandTimeout } = redisOptions;
  return new Cluster(group.hosts, {
    redisOptions: { ...redisOptions, ...loginOf(group) },
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    // How often a command is sent again, where it is bounded at all. Each time costs RETRY_MS at most.
    maxRedirections: commandTimeout === undefined ? Infinity : Math.ceil(commandTimeout / RETRY_MS),
    retryDelayOnFailover: RETRY_MS,
    retryDelayOnClusterDown: RETRY_MS,
    retryDelayOnTryAgain: RETRY_MS,
    // Lets go of a node that is gone without having closed its connections.
    slotsRefreshInterval: REFRESH_MS,
    // Names stay names: a TLS certificate is for them, and an address would have none.
    dnsLookup: (host, done) => done(null, host),
  });
}

function loginOf({ username, password, tls }: StoreGroup) {
  return { ...(username && { username }), ...(password && { password }), ...(tls && { tls: {} }) };
}

/** Says when a connection is lost and when it is back; in a cluster, of each node by itself. */
export function reportOutages(redis: Redis | Cluster, log: Log): void {
  const whole = createReport(log, 'redis');
  redis.on('ready', whole.back).on('error', whole.away);
  if ('nodes' in redis) reportNodes(redis, log);
}

/** A cluster is 'ready' for as long as any node is; the one with our keys may be away by itself. */
function reportNodes(cluster: Cluster, log: Log): void {
  const reports = new Map<string, ReturnType<typeof createReport>>();
  const reportOf = (node: string) => {
    const report = reports.get(node) ?? createReport(log.child({ node }), 'redis node');
    reports.set(node, report);
    return report;
  };
  cluster.on('node error', (error: Error, node: string) => reportOf(node).away(error));
  cluster.on('+node', (node: Redis) => {
    node.on('ready', reportOf(`${node.options.host}:${node.options.port}`).back);
  });
}

/** One line when it goes and one when it is back, not one for each failed attempt. */
function createReport(log: Log, what: string) {
  let connected = true;
  return {
    back() {
      if (!connected) log.info(`${what} is back`);
      connected = true;
    },
    away(error: Error) {
      if (connected) log.warn({ err: error }, `${what} is away`);
      connected = false;
    },
  };
}
