import { z } from 'zod';

/** The environment is wrong; the message lists how. */
export class ConfigError extends Error {}

/**
 * Parses the environment into one frozen value. Throws a `ConfigError` that lists every problem, so
 * that a wrong deployment is corrected in one go. An empty variable counts as unset.
 */
export function readConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  env: NodeJS.ProcessEnv,
  rules: ConfigRule[],
): Readonly<z.output<z.ZodObject<Shape>>> {
  refuseConfig(findConfigProblems(schema, env, rules));
  return Object.freeze(schema.parse(givenOf(env)));
}

/** Throws a `ConfigError` if there are any problems; each is listed once. */
export function refuseConfig(problems: string[]): void {
  if (problems.length === 0) return;
  const lines = [...new Set(problems)].map((problem) => `  ${problem}`);
  throw new ConfigError(`The configuration is wrong:\n${lines.join('\n')}`);
}

/** What must hold among several variables: a schema of those, which finds no other key. */
export type ConfigRule = z.ZodObject;

/**
 * One line for each problem, which begins with the name of its variable. Two rules may tell the same of
 * one that is none of the schema's.
 */
export function findConfigProblems(
  schema: z.ZodObject,
  env: NodeJS.ProcessEnv,
  rules: ConfigRule[],
): string[] {
  const given = givenOf(env);
  const issues = schema.safeParse(given).error?.issues ?? [];
  const wrong = new Set(issues.map(({ path: [key] }) => key));
  // A rule is for variables that are right each by itself.
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

/** Node's timers hold 31 bits of milliseconds (24.8 days): a longer one ends after 1 ms. */
export const MAX_TIMER_MS = 2 ** 31 - 1;
/** Five days. Durations from the environment are added up: four of them still fit into one timer. */
export const MAX_SETTING_MS = 5 * 24 * 60 * 60 * 1000;

/** A duration in the environment, in milliseconds. */
export function milliseconds(min = 0) {
  return integer(min).max(MAX_SETTING_MS);
}

/** A share or a probability in the environment. */
export function fraction() {
  return z.coerce.number().min(0).max(1);
}

/** A text in the environment that `parse` reads, or throws what is wrong with it. */
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

/** What api and worker must agree on, and how both listen and log. */
export const sharedConfig = {
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  LIVEGATE_HOST: z.string().default('127.0.0.1'),
  /** A "50 MP" phone photo of 8160x6144 passes. */
  LIVEGATE_MAX_IMAGE_PIXELS: integer(1).default(52_000_000),
  LIVEGATE_IMAGE_TTL_SECONDS: integer(1).default(600),
  LIVEGATE_RESULT_TTL_SECONDS: integer(1).default(24 * 60 * 60),
  LIVEGATE_LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info'),
};
