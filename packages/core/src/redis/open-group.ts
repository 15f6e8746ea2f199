import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { StoreGroup } from '../runtime/store-url.js';

/** Between two looks at who leads: after a failover, and while nothing calls for one. */
const RETRY_MS = 100;
const REFRESH_MS = 5000;

/** What tells the three kinds of connection apart. */
export type Patience = Pick<
  RedisOptions,
  'commandTimeout' | 'enableOfflineQueue' | 'maxRetriesPerRequest' | 'socketTimeout'
>;

export interface ConnectionOptions extends Patience {
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
