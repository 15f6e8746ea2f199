import { once } from 'node:events';
import { createServer } from 'node:net';
import { errorCode } from './error-code.js';

/** A loopback port that is free now; another process may still take it first. */
export async function findFreePort(): Promise<number> {
  return await bindBriefly(0, '127.0.0.1');
}

/** Throws what to do when no server could listen there. */
export async function requireFreePort(port: number, host: string): Promise<void> {
  try {
    await bindBriefly(port, host);
  } catch (error) {
    const code = errorCode(error);
    const reason = code === 'EADDRINUSE' ? 'is already in use' : `cannot be used (${code})`;
    throw new Error(`port ${port} ${reason}. Stop what uses it, or choose another: PORT=8081`, {
      cause: error,
    });
  }
}

async function bindBriefly(port: number, host: string): Promise<number> {
  const server = createServer().listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : port;
}
