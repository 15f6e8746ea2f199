import { onTestFinished } from 'vitest';

/** A port under test, and how to close what it opened. */
export interface OpenedPort<Port> {
  port: Port;
  close(): Promise<void>;
}

/** Creates a new port for one test. */
export type CreatePort<Port> = () => Promise<OpenedPort<Port>>;

/** Creates a port, and closes it when the test has ended. */
export async function openPort<Port>(create: CreatePort<Port>): Promise<Port> {
  const { port, close } = await create();
  onTestFinished(close);
  return port;
}
