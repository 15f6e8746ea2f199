import { onTestFinished } from 'vitest';

/** A port to test, made anew for each test, and how to let go of what it opened. */
export interface Subject<Port> {
  port: Port;
  close(): Promise<void>;
}

export type Create<Port> = () => Promise<Subject<Port>>;

/** Makes a port and lets go of it when the test has ended. */
export async function open<Port>(create: Create<Port>): Promise<Port> {
  const { port, close } = await create();
  onTestFinished(close);
  return port;
}
