import { integer, milliseconds, readConfig, requireOneSlot, sharedConfig } from '@livegate/core';
import { z } from 'zod';
import { bytesInMemory, maxBodyBytes } from './upload-memory.js';
import { parseAddressRanges, type AddressRange } from './webhooks/guard-address.js';

/** The gateway's part of the environment; `.env.example` explains every key. */
export const apiConfigSchema = z.object({
  ...sharedConfig,
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  PORT: integer(0).max(65_535).default(8080),
  LIVEGATE_PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
  LIVEGATE_CREDENTIALS_FILE: z.string().optional(),
  LIVEGATE_MAX_IMAGE_BYTES: integer(1).default(10 * 1024 * 1024),
  LIVEGATE_MAX_IMAGE_PIXELS: integer(1).default(52_000_000),
  LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT: integer(1).default(256 * 1024 * 1024),
  LIVEGATE_MAX_WAITING_CHECKS: integer(1).default(1000),
  LIVEGATE_QUEUE_BOARD: z.stringbool().default(false),
  LIVEGATE_RATE_LIMIT_PER_MINUTE: integer(0).default(0),
  LIVEGATE_DRAIN_MS: milliseconds(0).default(1000),
  LIVEGATE_REDIS_TIMEOUT_MS: milliseconds(1).default(500),
  LIVEGATE_UPLOAD_TIMEOUT_MS: milliseconds(1000).default(30_000),
  LIVEGATE_WAIT_LIMIT_MS: milliseconds(0).default(25_000),
  LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: addressRanges().optional(),
});

export type ApiConfig = z.output<typeof apiConfigSchema>;

export function readApiConfig(env: NodeJS.ProcessEnv): ApiConfig {
  const rules = apiConfigSchema.superRefine(requireRoomForOne).superRefine(requireOneSlot);
  return readConfig(rules, env);
}

/** Otherwise the largest images would be refused for ever, and their callers told to try again. */
function requireRoomForOne(config: ApiConfig, context: z.RefinementCtx): void {
  const largestBody = maxBodyBytes('json', config.LIVEGATE_MAX_IMAGE_BYTES);
  const leastBytes = bytesInMemory('json', largestBody);
  if (config.LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT >= leastBytes) return;
  context.addIssue({
    code: 'custom',
    path: ['LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT'],
    message: `one image of LIVEGATE_MAX_IMAGE_BYTES may take ${leastBytes}`,
  });
}

/** A comma-separated list of addresses and CIDR ranges in the environment. */
function addressRanges() {
  return z.string().transform((list, context): AddressRange[] => {
    try {
      return parseAddressRanges(list);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  });
}
