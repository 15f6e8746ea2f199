import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { JobResource } from '../../../apps/api/src/contract/present-check.js';
import type { Ending, Fact } from '../history/history.js';

/** How a job ended, as callers, readers and receivers see it; `undefined` before its end. */
export function endingOf({ result, error }: Pick<JobResource, 'result' | 'error'>) {
  if (error) return error.error_code;
  return result && scoreOf(result);
}

/** In hundredths. */
export function scoreOf({ result }: NonNullable<JobResource['result']>): Ending {
  return Math.round(100 * result.spoof_percentage);
}

/** Receives the webhooks of both tenants and records each. */
export async function startReceiver(record: (fact: Fact) => void) {
  const server = createServer((req, res) => {
    receive(req).then(
      () => res.end('{}'),
      () => res.writeHead(500).end('{}'),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };

  async function receive(req: IncomingMessage): Promise<void> {
    const { data } = (await json(req)) as { data: JobResource };
    record({ kind: 'notified', id: data.id, ending: endingOf(data) ?? 'nothing' });
  }
}
