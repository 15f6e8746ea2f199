import { LivegateError } from '@livegate/core';

/**
 * Runs a batch; when it throws, runs its items one by one, so that one poisoned item never fails
 * its neighbours. An item that throws alone is answered with its error; nothing is thrown.
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
