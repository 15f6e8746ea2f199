import type { Cluster, Redis } from 'ioredis';
import type { Log } from '../runtime/log.js';

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
