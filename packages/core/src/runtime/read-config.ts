import { z } from 'zod';

/** The environment is invalid; the message lists every problem. */
export class ConfigError extends Error {}

/**
 * Parses the environment into one frozen value. Throws a `ConfigError` that lists all problems at
 * once. An empty variable counts as unset.
 */
export function readConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  env: NodeJS.ProcessEnv,
  rules: ConfigRule[],
): Readonly<z.output<z.ZodObject<Shape>>> {
  refuseConfig(findConfigProblems(schema, env, rules));
  return Object.freeze(schema.parse(givenOf(env)));
}

/** Throws a `ConfigError` that lists each problem once; does nothing without problems. */
export function refuseConfig(problems: string[]): void {
  if (problems.length === 0) return;
  const lines = [...new Set(problems)].map((problem) => `  ${problem}`);
  throw new ConfigError(`The configuration is wrong:\n${lines.join('\n')}`);
}

/** A rule across several variables: a schema of only these variables. */
export type ConfigRule = z.ZodObject;

/**
 * One line for each problem, which starts with the variable's name. Two rules may report the same
 * problem of a variable that is not in the schema.
 */
export function findConfigProblems(
  schema: z.ZodObject,
  env: NodeJS.ProcessEnv,
  rules: ConfigRule[],
): string[] {
  const given = givenOf(env);
  const issues = schema.safeParse(given).error?.issues ?? [];
  const wrong = new Set(issues.map(({ path: [key] }) => key));
  // A rule applies only when each of its variables is valid by itself.
  const broken = rules
    .filter(({ shape }) => !Object.keys(shape).some((key) => wrong.has(key)))
    .flatMap((rule) => rule.safeParse(given).error?.issues ?? []);
  return [...issues, ...broken].map(({ path, message }) => `${path.join('.')}: ${message}`);
}

function givenOf(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim() !== ''));
}

/** An integer in the environment, at least `min`. */
export function integer(min = 0) {
  return z.coerce.number().int().min(min);
}

/** Node's timers have 31 bits of milliseconds (24.8 days): a longer one fires after 1 ms. */
export const MAX_TIMER_MS = 2 ** 31 - 1;
/** Five days. A timer may be the sum of up to four configured durations. */
export const MAX_SETTING_MS = 5 * 24 * 60 * 60 * 1000;

/** A duration in the environment, in milliseconds. */
export function milliseconds(min = 0) {
  return integer(min).max(MAX_SETTING_MS);
}

/** A ratio or a probability in the environment, 0..1. */
export function fraction() {
  return z.coerce.number().min(0).max(1);
}

/** A text in the environment, converted by `parse`, whose Error becomes the problem. */
export function parsedBy<Value>(parse: (text: string) => Value) {
  return z.string().transform((text, context): Value => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  });
}

/** Settings that gateways and workers share. */
export const sharedConfig = {
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  LIVEGATE_HOST: z.string().default('127.0.0.1'),
  /** A "50 MP" phone photo of 8160x6144 passes. */
  LIVEGATE_MAX_IMAGE_PIXELS: integer(1).default(52_000_000),
  LIVEGATE_IMAGE_TTL_SECONDS: integer(1).default(600),
  LIVEGATE_RESULT_TTL_SECONDS: integer(1).default(24 * 60 * 60),
  LIVEGATE_CONSOLE: z.stringbool().default(true),
  LIVEGATE_LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info'),
};
