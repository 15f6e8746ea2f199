import { ask, credentials } from '@livegate/testing/product/post-image';
import type { Existing } from './cases/routes.js';

/** A set is used by a few cases, since some of them delete what they find. */
const USES = 8;

/** Provides a job, a session with a page token, an endpoint and a delivery that exist. */
export function createExisting(url: string, image: Buffer) {
  let current: Promise<Existing> | undefined;
  let left = 0;

  return {
    take(): Promise<Existing> {
      if (!current || left === 0) {
        current = create();
        left = USES;
      }
      left -= 1;
      return current;
    },
  };

  async function create(): Promise<Existing> {
    const [job, session, endpoint] = await Promise.all([
      createJob(),
      createSession(),
      createEndpoint(),
    ]);
    return { job, ...session, ...endpoint };
  }

  async function createJob(): Promise<string> {
    const body = JSON.stringify({ image: image.toString('base64') });
    const headers = { ...json, prefer: 'respond-async' };
    const answer = await ask(`${url}/face/v1/passive-liveness`, { method: 'POST', headers, body });
    return String(answer.body['id']);
  }

  async function createSession() {
    const body = JSON.stringify({
      success_url: 'https://a.example/',
      cancel_url: 'https://a.example/',
    });
    const sessions = `${url}/face/v1/passive-liveness-sessions`;
    const { body: created } = await ask(sessions, { method: 'POST', headers: json, body });
    const sid = String(created['sid']);
    const { body: state } = await ask(`${url}/sessions/${sid}/state`);
    return { sid, token: String(state['token']) };
  }

  /** A tenant has 16 endpoints at most: all former ones are deleted. Nothing listens at the address. */
  async function createEndpoint() {
    const endpoints = `${url}/v1/webhook-endpoints`;
    const { body: listed } = await ask(endpoints);
    for (const { id } of (listed['endpoints'] ?? []) as { id: string }[]) {
      await ask(`${endpoints}/${id}`, { method: 'DELETE' });
    }
    const wanted = { url: 'https://hook.invalid/', events: ['passive_liveness.canceled'] };
    const body = JSON.stringify(wanted);
    const { body: created } = await ask(endpoints, { method: 'POST', headers: json, body });
    const endpoint = String(created['id']);
    const { body: sent } = await ask(`${endpoints}/${endpoint}/test`, { method: 'POST' });
    return { endpoint, delivery: String(sent['id']) };
  }
}

const json = { ...credentials, 'content-type': 'application/json' };
