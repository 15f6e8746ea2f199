/** Replaces `node:timers/promises`: waits by the fake clock. */
export function setTimeout(ms: number): Promise<void> {
  return new Promise((resolve) => globalThis.setTimeout(resolve, ms));
}

export function setImmediate(): Promise<void> {
  return new Promise((resolve) => void globalThis.setImmediate(resolve));
}
