import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { errorCode } from './processes.js';

/** Below the ephemeral ports (Linux: from 32768), which outgoing connections would soon occupy. */
const FIRST_PORT = 20_000;
const PAST_LAST_PORT = 32_768;

/** A loopback port that is free now; another process may still take it first. */
export async function findFreePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, PAST_LAST_PORT);
    try {
      await bindBriefly(port, '127.0.0.1');
      return port;
    } catch (error) {
      if (errorCode(error) !== 'EADDRINUSE') throw error;
    }
  }
}

/** Throws an Error with advice if no server can listen on the port. */
export async function requireFreePort(port: number, host: string): Promise<void> {
  try {
    await bindBriefly(port, host);
  } catch (error) {
    const code = errorCode(error);
    const reason = code === 'EADDRINUSE' ? 'is already in use' : `cannot be used (${code})`;
    throw new Error(`port ${port} ${reason}. Free the port, or choose another: PORT=8081`, {
      cause: error,
    });
  }
}

async function bindBriefly(port: number, host: string): Promise<void> {
  const server = createServer().listen(port, host);
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}
