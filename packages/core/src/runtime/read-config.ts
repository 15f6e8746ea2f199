import { z } from 'zod';
import { hasHashTag, parseStoreUrl } from './store-url.js';

/** The environment is wrong; the message lists how. */
export class ConfigError extends Error {}

/**
 * Parses the environment into one frozen value. Throws a `ConfigError` that lists every problem,
 * so that a wrong deployment is mended in one go. An empty variable counts as unset.
 */
export function readConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  env: NodeJS.ProcessEnv,
): Readonly<z.output<z.ZodObject<Shape>>> {
  const given = Object.entries(env).filter(([, value]) => value?.trim() !== '');
  const parsed = schema.safeParse(Object.fromEntries(given));
  if (parsed.success) return Object.freeze(parsed.data);
  const problems = parsed.error.issues.map(
    (issue) => `  ${issue.path.join('.')}: ${issue.message}`,
  );
  throw new ConfigError(`The configuration is wrong:\n${problems.join('\n')}`);
}

/** An integer in the environment, at least `min`. */
export function integer(min = 0) {
  return z.coerce.number().int().min(min);
}

/** A duration in the environment, in milliseconds; no timer of Node's can run for longer. */
export function milliseconds(min = 0) {
  return integer(min).max(2_000_000_000);
}

/** A share or a probability in the environment. */
export function fraction() {
  return z.coerce.number().min(0).max(1);
}

/** The address of a Redis in the environment. */
function storeUrl() {
  return z.string().superRefine((url, context) => {
    try {
      parseStoreUrl(url);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
  });
}

/** What api and worker must agree on, and how both listen and log. */
export const sharedConfig = {
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  REDIS_URL: storeUrl().default('redis://127.0.0.1:6379'),
  BLOB_REDIS_URL: storeUrl().optional(),
  LIVEGATE_HOST: z.string().default('127.0.0.1'),
  LIVEGATE_KEY_PREFIX: z.string().min(1).default('{livegate}'),
  LIVEGATE_IMAGE_TTL_SECONDS: integer(1).default(600),
  LIVEGATE_RESULT_TTL_SECONDS: integer(1).default(24 * 60 * 60),
  LIVEGATE_LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info'),
};

type SharedConfig = z.output<z.ZodObject<typeof sharedConfig>>;

/** A cluster refuses commands and scripts over keys that are not all in one slot. */
export function requireOneSlot(config: SharedConfig, context: z.RefinementCtx): void {
  const urls = [config.REDIS_URL, config.BLOB_REDIS_URL ?? config.REDIS_URL];
  if (!urls.some((url) => parseStoreUrl(url).kind === 'cluster')) return;
  if (hasHashTag(config.LIVEGATE_KEY_PREFIX)) return;
  context.addIssue({
    code: 'custom',
    path: ['LIVEGATE_KEY_PREFIX'],
    message: 'must have a part in braces, such as {livegate}: Redis is a cluster',
  });
}
