import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HealthAddress {
  host: string;
  /** 0 means any free port. */
  port: number;
}

export interface HealthDeps {
  /** Milliseconds since the start of the longest present run. */
  longestRunMs(): number;
  /** Why this worker receives no checks; `undefined` if it does. */
  findProblem(): string | undefined;
}

/** The problem of a worker that is not registered in Redis. */
export const NOT_REGISTERED = 'Redis has not been reached';

/** A run takes milliseconds, or seconds on an overloaded machine. */
const HUNG_AFTER_MS = 30_000;

/**
 * Answers two probes with 200, or 503 and the problem. `GET /livez`: the event loop runs, or there
 * would be no answer, and no engine hangs. Redis is not included, because a restart would not fix
 * it. `GET /readyz`: this worker receives checks.
 */
export async function serveHealth({ host, port }: HealthAddress, deps: HealthDeps) {
  const probes = new Map([
    ['/livez', () => findHang(deps.longestRunMs())],
    ['/readyz', () => deps.findProblem()],
  ]);
  const server = createServer((req, res) => {
    const probe = req.method === 'GET' ? probes.get(req.url ?? '') : undefined;
    const problem = probe ? probe() : 'no such probe';
    res.writeHead(problem ? (probe ? 503 : 404) : 200, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify(problem ? { status: 'unavailable', problem } : { status: 'ok' }));
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function findHang(runMs: number): string | undefined {
  const seconds = Math.round(runMs / 1000);
  return runMs > HUNG_AFTER_MS ? `an engine run has not ended for ${seconds} s` : undefined;
}
