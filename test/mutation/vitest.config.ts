import { defineConfig } from 'vitest/config';
import workspace from '../../vitest.config.js';

/** Unit tests of what is mutated. They need no Redis. */
export default defineConfig({
  ...workspace,
  test: {
    include: [
      'packages/core/src/domain/**/*.test.ts',
      'apps/api/src/{admission,checks,webhooks}/**/*.test.ts',
      'apps/api/src/{contract/preference,http/upload/*}.test.ts',
      'apps/worker/src/scheduling/**/*.test.ts',
    ],
    // Ends a test that waits forever, which Stryker could do only with its whole process.
    testTimeout: 3000,
  },
});
