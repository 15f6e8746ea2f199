import { LivegateError } from '@livegate/core';

/**
 * Runs a batch. If that throws, each item gets a run of its own, and only those that throw alone are
 * answered with their error. Nothing is thrown.
 */
export async function isolateFailures<Item, Result>(
  items: Item[],
  run: (items: Item[]) => Promise<Result[]>,
): Promise<(Result | LivegateError)[]> {
  if (items.length === 0) return [];
  try {
    return await run(items);
  } catch (error) {
    if (items.length === 1) return [toLivegateError(error)];
  }
  const results: (Result | LivegateError)[] = [];
  for (const item of items) results.push(...(await isolateFailures([item], run)));
  return results;
}

/** An error with a code passes; anything else is our fault, its cause kept for the log. */
export function toLivegateError(error: unknown): LivegateError {
  if (error instanceof LivegateError) return error;
  return new LivegateError('internal_error', { detail: 'the pipeline failed', cause: error });
}
