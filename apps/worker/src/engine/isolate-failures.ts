/**
 * Runs a batch. If that throws, each item gets a run of its own, and only those that throw alone are
 * answered with their error; `broken` then tells what the first run threw. Nothing is thrown.
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
