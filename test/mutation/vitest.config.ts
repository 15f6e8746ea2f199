import { defineConfig } from 'vitest/config';
import workspace from '../../vitest.config.js';

/** Unit tests of what is mutated. They need no Redis. */
export default defineConfig({
  ...workspace,
  test: {
    include: [
      'packages/core/src/{domain,redis,runtime,telemetry}/**/*.test.ts',
      'apps/api/src/{admission,checks,contract,credentials,http,sessions,webhooks}/**/*.test.ts',
      'apps/worker/src/{models,scheduling}/**/*.test.ts',
      // The other tests of this folder decode whole images.
      'apps/worker/src/inference/decode/{icc-profile,is-srgb,prepare-png}.test.ts',
      'test/unit/config.test.ts',
    ],
    // Ends a test that waits forever, which Stryker could do only with its whole process.
    testTimeout: 3000,
  },
});
