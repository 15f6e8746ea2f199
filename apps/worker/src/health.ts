import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HealthAddress {
  host: string;
  /** 0 takes any free one. */
  port: number;
}

export interface HealthDeps {
  /** How long the longest of the present runs has been going, in milliseconds. */
  longestRunMs(): number;
  /** Why checks do not get here; `undefined` while they do. */
  findProblem(): string | undefined;
}

/** A run takes milliseconds, on a starved machine seconds. */
const HUNG_AFTER_MS = 30_000;

/**
 * Answers two probes, 200 or 503 with the problem. `GET /livez`: the event loop turns, as there is an
 * answer, and no engine hangs. A new process would mend that, but not a Redis that is away.
 * `GET /readyz`: checks get here.
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
  return runMs > HUNG_AFTER_MS ? `a run has been going for ${seconds} s` : undefined;
}
