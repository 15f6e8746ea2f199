/** An engine whose every run ends only when the test says so; its answers are the items as text. */
export function createHeldEngine() {
  const runs: { items: number[]; startedMs: number; finish: () => void }[] = [];
  const run = (items: number[]) =>
    new Promise<string[]>((resolve) => {
      const finish = () => resolve(items.map(String));
      runs.push({ items, startedMs: performance.now(), finish });
    });
  return { runs, run };
}
