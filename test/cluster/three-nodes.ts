import type { TestProject } from 'vitest/node';
import { startRedisCluster } from '@livegate/testing/redis/redis-cluster';

/** Starts one Redis Cluster for all cluster tests. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startRedisCluster();
  project.provide('redisUrl', cluster.url);
  return cluster.stop;
}
