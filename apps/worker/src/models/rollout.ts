import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** Says which profiles a worker uses; `npm run models -- use` writes it into the models folder. */
export const ROLLOUT_FILE = 'active.json';

/** A profile that gets a share of the checks, 0..1. */
export type Trial = z.infer<typeof trialSchema>;

/** The profiles of the model catalogue that a worker uses. */
export type Rollout = z.infer<typeof rolloutSchema>;

const trialSchema = z.strictObject({ profile: z.string().min(1), share: z.number().min(0).max(1) });

const rolloutSchema = z.strictObject({
  /** Answers all checks that the canary does not answer. */
  profile: z.string().min(1),
  /** Answers its share of the checks. */
  canary: trialSchema.optional(),
  /** Judges its share of the checks once more, after their answers. */
  shadow: trialSchema.optional(),
});

/** What the environment says; each part is undefined when it says nothing. */
export type RolloutSettings = { [Part in keyof Rollout]?: Rollout[Part] | undefined };

const DEFAULT_PROFILE = 'default';

/** The rollout that a worker starts with: the environment goes before the file. */
export function startingRollout(
  { profile, canary, shadow }: RolloutSettings,
  file?: Rollout,
): Rollout {
  const start = { canary: canary ?? file?.canary, shadow: shadow ?? file?.shadow };
  return { profile: profile ?? file?.profile ?? DEFAULT_PROFILE, ...dropUndefined(start) };
}

function dropUndefined<Part extends object>(part: Part) {
  const given = Object.entries(part).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { [Key in keyof Part]?: NonNullable<Part[Key]> };
}

/** `undefined` without a file. Throws an Error that lists every problem of the file. */
export async function readRollout(modelsDir: string): Promise<Rollout | undefined> {
  const path = join(modelsDir, ROLLOUT_FILE);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : parseRollout(text, path);
}

/** `origin` is the file's path for the message of the Error. */
export function parseRollout(text: string, origin: string): Rollout {
  const parsed = z
    .string()
    .transform((json, context) => {
      try {
        return JSON.parse(json) as unknown;
      } catch {
        context.addIssue({ code: 'custom', message: 'not JSON' });
        return z.NEVER;
      }
    })
    .pipe(rolloutSchema)
    .safeParse(text);
  if (parsed.success) return parsed.data;
  throw new Error(
    `${origin} does not describe a rollout:\n${z.prettifyError(parsed.error)}\nCorrect or delete it.`,
  );
}

/**
 * Whether a check is in a trial. It follows from the id, so that every attempt at the check and
 * every worker with the same share decide alike. A canary and a shadow choose independently.
 */
export function isInTrial(id: string, kind: 'canary' | 'shadow', share: number): boolean {
  const hash = createHash('sha256').update(`${kind}:${id}`).digest();
  return hash.readUInt32BE(0) < share * 2 ** 32;
}
