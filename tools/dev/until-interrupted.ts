const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

// npm passes a terminal's Ctrl-C on to its child, which the terminal has told already.
const echoMs = 500;

/** Resolves at the first signal to stop. `force` is called at any later one: someone is impatient. */
export function untilInterrupted(force: (signal: NodeJS.Signals) => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const onSignal = (signal: NodeJS.Signals): void => {
      const isEcho = firstAtMs !== undefined && performance.now() - firstAtMs < echoMs;
      if (firstAtMs !== undefined && !isEcho) force(signal);
      firstAtMs ??= performance.now();
      resolve(signal);
    };
    for (const signal of signals) process.on(signal, onSignal);
  });
}
