/**
 * Runs a batch. If the run throws, each item runs again alone, and only an item that throws alone
 * is answered with its error; `broken` is then the error of the batch. Never throws.
 */
export async function isolateFailures<Item, Result>(
  items: Item[],
  run: (items: Item[]) => Promise<Result[]>,
): Promise<{ answers: (Result | Error)[]; broken?: Error }> {
  try {
    return { answers: await run(items) };
  } catch (error) {
    const broken = error instanceof Error ? error : new Error(String(error));
    if (items.length === 1) return { answers: [broken] };
    const answers: (Result | Error)[] = [];
    for (const item of items) answers.push(...(await isolateFailures([item], run)).answers);
    return { answers, broken };
  }
}
