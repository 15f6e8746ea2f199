import { Agent, type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { vi } from 'vitest';

const PROBE_MS = 50;

export interface BalancedRequest {
  method: 'GET' | 'POST';
  path: string;
  headers: Record<string, string>;
  body?: string;
}

export interface BalancedAnswer {
  status: number;
  body: Record<string, unknown>;
}

/**
 * Behaves like a proxy in front of several gateways: probes /readyz, keeps connections alive, and tries
 * the next gateway only if the connection was refused. A request that was sent is never retried.
 */
export function createLoadBalancer() {
  const ready = new Map<string, Agent>();
  const agents = new Map<string, Agent>();
  let sentCount = 0;

  return {
    /** Resolves once the gateway is ready and gets requests. */
    async add(url: string): Promise<void> {
      const agent = new Agent({ keepAlive: true });
      agents.set(url, agent);
      void watch(url, agent);
      await vi.waitUntil(() => ready.has(url), { timeout: 20_000, interval: PROBE_MS });
    },
    async send(sent: BalancedRequest): Promise<BalancedAnswer> {
      const gateways = [...ready];
      sentCount += 1;
      for (let tries = 0; tries < gateways.length; tries += 1) {
        const [url, agent] = gateways[(sentCount + tries) % gateways.length]!;
        try {
          return await readAnswer(await exchange(new URL(sent.path, url), sent, agent));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error;
        }
      }
      throw new Error('no gateway is ready');
    },
    close() {
      for (const agent of agents.values()) agent.destroy();
      agents.clear();
    },
  };

  async function watch(url: string, agent: Agent): Promise<void> {
    const probe = { method: 'GET', path: '/readyz', headers: { connection: 'close' } } as const;
    while (agents.has(url)) {
      const answer = await exchange(new URL(probe.path, url), probe, undefined).catch(() => null);
      answer?.resume();
      if (answer?.statusCode === 200) ready.set(url, agent);
      else ready.delete(url);
      // The gateway is gone for good: its successor listens on another port.
      if (!answer) return;
      await sleep(PROBE_MS);
    }
  }
}

function exchange(url: URL, sent: BalancedRequest, agent: Agent | undefined) {
  return new Promise<IncomingMessage>((resolve, reject) => {
    const { method, headers, body } = sent;
    const outgoing = request(url, { method, headers, ...(agent && { agent }) });
    outgoing.once('response', resolve).once('error', reject).end(body);
  });
}

async function readAnswer(answer: IncomingMessage): Promise<BalancedAnswer> {
  const body = JSON.parse((await buffer(answer)).toString()) as BalancedAnswer['body'];
  return { status: answer.statusCode ?? 0, body };
}
