import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 200;
const answerWithinMs = 5000;

/** Resolves when the address answers 200, throws when it has not done so in time. */
export async function untilReady(url: string, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await answersOk(url))) {
    if (performance.now() > deadline) {
      throw new Error(`${url} was not ready within ${withinMs / 1000} s: see the log above`);
    }
    await sleep(pollMs);
  }
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerWithinMs) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}
