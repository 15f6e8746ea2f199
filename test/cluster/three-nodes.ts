import type { TestProject } from 'vitest/node';
import { startRedisCluster } from '../harness/redis/redis-cluster.js';

/** One Redis Cluster for all tests that run against it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startRedisCluster();
  project.provide('redisUrl', cluster.url);
  return cluster.stop;
}
