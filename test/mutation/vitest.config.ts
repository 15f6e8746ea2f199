import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The unit tests of what is mutated. They need no Redis. */
export default defineConfig({
  root: source('.'),
  resolve: {
    alias: {
      '@livegate/core/ports': source('packages/core/src/ports.ts'),
      '@livegate/core': source('packages/core/src'),
    },
  },
  test: { include: ['packages/core/src/domain/**/*.test.ts'] },
});
