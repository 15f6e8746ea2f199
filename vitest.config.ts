import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/**
 * The faults of chaos mostly wait for a recovery, and meanwhile deploy builds the images. With the other
 * tests, both would disturb them.
 */
const afterAllOthers = { sequence: { groupOrder: 1 }, maxWorkers: 2 };

export default defineConfig({
  resolve: {
    alias: {
      '@livegate/core/shutdown': source('packages/core/src/runtime/shutdown.ts'),
      '@livegate/core/telemetry-rules': source('packages/core/src/telemetry/read-signals.ts'),
      '@livegate/core/store-url': source('packages/core/src/redis/connection/store-url.ts'),
      '@livegate/core/ports': source('packages/core/src/ports.ts'),
      '@livegate/core': source('packages/core/src'),
    },
  },
  test: {
    setupFiles: 'test/fail-on-leaks.ts',
    // Most tests wait for the processes that they have started.
    maxWorkers: availableParallelism() + 1,
    // So long that only what hangs takes it, also on a busy machine.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            '{packages,apps}/*/src/**/*.test.ts',
            '{tools,test/unit}/**/*.test.ts',
            'test/*.test.ts',
          ],
        },
      },
      {
        extends: true,
        test: {
          name: 'model',
          include: ['test/{model,simulation}/**/*.test.ts'],
          testTimeout: 120_000,
        },
      },
      { extends: true, test: { name: 'integration', include: ['test/integration/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'cluster',
          // The integration tests of Redis adapters again, against a Redis Cluster of three nodes.
          include: [
            'test/integration/{ranks,redis-ports,take-jobs,webhook-delivery,webhook-ports}.test.ts',
            'test/cluster/**/*.test.ts',
          ],
          globalSetup: 'test/cluster/three-nodes.ts',
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: 'packages/testing/src/product/shared-product.ts',
          testTimeout: 60_000,
        },
      },
      { extends: true, test: { name: 'fuzz', include: ['test/fuzz/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          ...afterAllOthers,
          testTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'deploy',
          include: ['test/deploy/**/*.test.ts'],
          ...afterAllOthers,
          testTimeout: 60_000,
        },
      },
    ],
  },
});
