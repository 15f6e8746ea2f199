import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { Log } from '../../telemetry/log.js';
import type { StoreGroup } from './store-url.js';

/** Pause between two reads of the cluster's topology, during a failover and otherwise. */
const RETRY_MS = 100;
const REFRESH_MS = 5000;

/** The options in which the three kinds of connection differ. */
export type RetryOptions = Pick<
  RedisOptions,
  'enableOfflineQueue' | 'maxRetriesPerRequest' | 'socketTimeout'
>;

export interface ConnectionOptions extends RetryOptions {
  connectionName: string;
  retryStrategy(attempt: number): number;
  reconnectOnError(error: Error): false | 2;
}

/**
 * Opens a connection to a cluster or through sentinels that behaves like one to a single server. A
 * command to a cluster is resent as often as `limitMs` has room for.
 */
export function openGroup(
  group: StoreGroup,
  options: ConnectionOptions,
  limitMs = Infinity,
): Redis | Cluster {
  if (group.kind === 'cluster') return openCluster(group, options, limitMs);
  return openBySentinels(group, options);
}

/** A connection to the current leader, which the sentinels name. */
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
    // A leader whose machine is gone closes no connection: commands to it would wait for minutes.
    failoverDetector: true,
    sentinelReconnectStrategy: options.retryStrategy,
  });
}

/** A connection to a cluster. All our keys are in one slot, so on one node. */
function openCluster(group: StoreGroup, options: ConnectionOptions, limitMs: number): Cluster {
  const { retryStrategy, enableOfflineQueue = true, ...redisOptions } = options;
  return new Cluster(group.hosts, {
    redisOptions: { ...redisOptions, ...loginOf(group) },
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    maxRedirections: Math.ceil(limitMs / RETRY_MS),
    retryDelayOnFailover: RETRY_MS,
    retryDelayOnClusterDown: RETRY_MS,
    retryDelayOnTryAgain: RETRY_MS,
    // Drops the connections to a node that has left without closing them.
    slotsRefreshInterval: REFRESH_MS,
    // Connect by host name, not by address: TLS certificates are issued for names.
    dnsLookup: (host, done) => done(null, host),
  });
}

function loginOf({ username, password, tls }: StoreGroup) {
  return { ...(username && { username }), ...(password && { password }), ...(tls && { tls: {} }) };
}

/** Logs when a connection is lost and when it is restored; in a cluster, for each node as well. */
export function reportOutages(redis: Redis | Cluster, log: Log): void {
  const whole = createReport(log, 'redis');
  redis.on('ready', whole.restored).on('error', whole.lost);
  if ('nodes' in redis) reportNodes(redis, log);
}

/** A cluster is 'ready' while any node is; the node with our keys may be down on its own. */
function reportNodes(cluster: Cluster, log: Log): void {
  const reports = new Map<string, ReturnType<typeof createReport>>();
  const reportOf = (node: string) => {
    const report = reports.get(node) ?? createReport(log.child({ node }), 'redis node');
    reports.set(node, report);
    return report;
  };
  cluster.on('node error', (error: Error, node: string) => reportOf(node).lost(error));
  cluster.on('+node', (node: Redis) => {
    node.on('ready', reportOf(`${node.options.host}:${node.options.port}`).restored);
  });
}

/**
 * One line when the connection is lost and one when it is restored, none for each failed attempt.
 */
function createReport(log: Log, what: string) {
  let connected = true;
  return {
    restored() {
      if (!connected) log.info(`${what} connection restored`);
      connected = true;
    },
    lost(error: Error) {
      if (connected) log.warn({ err: error }, `${what} connection lost`);
      connected = false;
    },
  };
}
