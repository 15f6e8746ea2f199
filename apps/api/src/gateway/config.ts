import { accessSync, constants } from 'node:fs';
import { imageKeysRule, oneSlotRule, redisConfig } from '@livegate/core/store-url';
import {
  type ConfigRule,
  integer,
  milliseconds,
  parsedBy,
  readConfig,
  sharedConfig,
} from '@livegate/core/runtime';
import { scrapePortRule, telemetryRule } from '@livegate/core/telemetry-rules';
import { z } from 'zod';
import { parsePublicUrl, parseTrustedProxies } from '../http/base-url.js';
import { bytesInMemory, maxBodyBytes } from '../http/upload/upload-permits.js';
import { parseEmbedOrigins } from '../sessions/allow-embedding.js';
import { parseFrameAncestors } from '../sessions/capture-page.js';
import { readPageTheme } from '../sessions/page-theme.js';
import { parseAddressRanges } from '../webhooks/address-guard.js';

/** The environment variables of the gateway; `.env.example` documents each of them. */
export const apiConfigSchema = z.object({
  ...sharedConfig,
  ...redisConfig,
  PORT: integer(0).max(65_535).default(8080),
  LIVEGATE_PUBLIC_URL: parsedBy(parsePublicUrl).optional(),
  LIVEGATE_TRUST_PROXY: parsedBy(parseTrustedProxies).optional(),
  LIVEGATE_CREDENTIALS_FILE: z.string().optional(),
  LIVEGATE_MAX_CONNECTIONS: integer(1).default(20_000),
  LIVEGATE_MAX_IMAGE_BYTES: integer(1).default(10 * 1024 * 1024),
  LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT: integer(1).default(256 * 1024 * 1024),
  LIVEGATE_MAX_ASYNC_WAIT_MS: milliseconds(1).default(30_000),
  LIVEGATE_MAX_PENDING_DELIVERIES: integer(1).default(50_000),
  LIVEGATE_MAX_QUEUE_WAIT_MS: milliseconds(1).default(3000),
  LIVEGATE_MAX_WAITING_CHECKS: integer(1).default(2000),
  LIVEGATE_PAGE_THEME_FILE: z.string().optional(),
  LIVEGATE_PLAYGROUND: z.stringbool().optional(),
  LIVEGATE_QUEUE_BOARD: z.stringbool().default(false),
  LIVEGATE_RATE_LIMIT_PER_MINUTE: integer(0).default(0),
  LIVEGATE_OTHER_REQUESTS_PER_MINUTE: integer(0).default(12_000),
  LIVEGATE_DRAIN_MS: milliseconds(0).default(1000),
  LIVEGATE_REDIS_TIMEOUT_MS: milliseconds(1).default(500),
  LIVEGATE_SESSION_EMBED_ORIGINS: parsedBy(parseEmbedOrigins).optional(),
  LIVEGATE_SESSION_FRAME_ANCESTORS: parsedBy(parseFrameAncestors).default("'none'"),
  LIVEGATE_SESSION_REQUESTS_PER_ADDRESS: integer(0).default(600),
  LIVEGATE_UPLOAD_TIMEOUT_MS: milliseconds(1000).default(30_000),
  LIVEGATE_WAIT_LIMIT_MS: milliseconds(0).default(25_000),
  LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: parsedBy(parseAddressRanges).optional(),
});

export type ApiConfig = z.output<typeof apiConfigSchema>;

export function readApiConfig(env: NodeJS.ProcessEnv): ApiConfig {
  return readConfig(apiConfigSchema, env, [...apiConfigRules, ...fileRules]);
}

const keys = apiConfigSchema.shape;

/** With less, the largest allowed image would always be refused as `overloaded`, which invites a retry. */
const uploadMemoryRule = z
  .object({
    LIVEGATE_MAX_IMAGE_BYTES: keys.LIVEGATE_MAX_IMAGE_BYTES,
    LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT: keys.LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT,
  })
  .superRefine((config, context) => {
    const largestBody = maxBodyBytes('json', config.LIVEGATE_MAX_IMAGE_BYTES);
    const leastBytes = bytesInMemory('json', largestBody);
    if (config.LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT >= leastBytes) return;
    context.addIssue({
      code: 'custom',
      path: ['LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT'],
      message: `one image of LIVEGATE_MAX_IMAGE_BYTES can take ${leastBytes} bytes, set at least that`,
    });
  });

/** Without either, callers behind a TLS proxy would get http links and send credentials in clear text. */
const publicUrlRule = z
  .object({
    NODE_ENV: keys.NODE_ENV,
    LIVEGATE_PUBLIC_URL: keys.LIVEGATE_PUBLIC_URL,
    LIVEGATE_TRUST_PROXY: keys.LIVEGATE_TRUST_PROXY,
  })
  .superRefine((config, context) => {
    if (config.NODE_ENV !== 'production') return;
    if (config.LIVEGATE_PUBLIC_URL ?? config.LIVEGATE_TRUST_PROXY) return;
    context.addIssue({
      code: 'custom',
      path: ['LIVEGATE_PUBLIC_URL'],
      message:
        'production needs the URL at which callers reach the service, or LIVEGATE_TRUST_PROXY: the ' +
        'proxies whose X-Forwarded-* headers give it',
    });
  });

const ownCredentialsRule = z
  .object({
    NODE_ENV: keys.NODE_ENV,
    LIVEGATE_CREDENTIALS_FILE: keys.LIVEGATE_CREDENTIALS_FILE,
  })
  .superRefine((config, context) => {
    if (config.NODE_ENV !== 'production' || config.LIVEGATE_CREDENTIALS_FILE) return;
    context.addIssue({
      code: 'custom',
      path: ['LIVEGATE_CREDENTIALS_FILE'],
      message:
        'production needs a file of your own credentials: run ' +
        '"npm run credentials -- create --tenant NAME"',
    });
  });

/** Rules that depend on the values alone, not on files of this machine. */
export const apiConfigRules: ConfigRule[] = [
  uploadMemoryRule,
  oneSlotRule,
  publicUrlRule,
  ownCredentialsRule,
  telemetryRule,
  scrapePortRule('PORT', keys.PORT),
];

const fileRules = [
  imageKeysRule,
  z.object({
    LIVEGATE_CREDENTIALS_FILE: parsedBy((file) => accessSync(file, constants.R_OK)).optional(),
  }),
  z.object({ LIVEGATE_PAGE_THEME_FILE: parsedBy(readPageTheme).optional() }),
];
