import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import sharp from 'sharp';
import {
  errorSchema,
  jobSchema,
  verdictSchema,
} from '../../../apps/api/src/contract/answer-schemas.js';
import type { Answered, History, Read } from '../history/history.js';
import {
  type ChaosProduct,
  type Gateway,
  headersOf,
  type Tenant,
  WAIT_LIMIT_MS,
} from './chaos-product.js';
import { endingOf, scoreOf } from './receiver.js';

/** Image `n` is scored `n` hundredths. */
export const IMAGES = 97;
const SIDE = 32;
/** An async check is accepted or refused within this, whatever happens to Redis. */
const ACCEPT_LIMIT_MS = 4000;
/** A caller hangs up this long after its limit. */
const HANG_UP_AFTER_MS = 5000;

/** What a caller asks for. */
export interface CheckRequest {
  tenant: Tenant;
  image: number;
  key?: string;
  /** Undefined: as long as the server allows; 0: an async check. */
  waitMs?: number;
  /** Accepts a job when the wait is over. */
  respondAsync?: boolean;
  gateway?: Gateway;
}

interface HttpAnswer {
  status: number;
  requestId: string;
  body: unknown;
}

/** Callers who send checks, read jobs, cancel and delete, and record what they see. */
export async function createCallers(product: ChaosProduct, history: History) {
  const bodies = await createImages();
  let turn = 0;

  return { check, read, end };

  /** Sends one check. Resolves to its id if it was accepted. */
  async function check(asked: CheckRequest): Promise<{ id?: string; status: number }> {
    const call = history.nextCall();
    const { tenant, image, key, waitMs } = asked;
    const limitMs = waitMs === 0 ? ACCEPT_LIMIT_MS : (waitMs ?? WAIT_LIMIT_MS);
    const facts = { call, tenant, image, limitMs, ...(key !== undefined && { key }) };
    history.record({ kind: 'sent', ...facts });
    const prefer = [
      ...(asked.respondAsync || waitMs === 0 ? ['respond-async'] : []),
      ...(waitMs ? [`wait=${waitMs / 1000}`] : []),
    ].join(', ');
    const headers = {
      ...headersOf(tenant),
      'content-type': 'application/json',
      ...(prefer && { prefer }),
      ...(key !== undefined && { 'idempotency-key': key }),
    };
    const sent = { method: 'POST', path: '/face/v1/passive-liveness', headers } as const;
    try {
      const limit = AbortSignal.timeout(limitMs + HANG_UP_AFTER_MS);
      const answer = await send({ ...sent, body: bodies[image]! }, limit, asked.gateway);
      const described = describeAnswer(call, answer);
      history.record(described);
      return { status: answer.status, ...(described.id !== undefined && { id: described.id }) };
    } catch {
      history.record({ kind: 'lost', call });
      return { status: 0 };
    }
  }

  /** Reads a job and records it, unless the product cannot answer now. */
  async function read(tenant: Tenant, id: string): Promise<Read['status'] | undefined> {
    const from = performance.now();
    const sent = { method: 'GET', path: `/v1/jobs/${id}`, headers: headersOf(tenant) } as const;
    const answer = await send(sent, AbortSignal.timeout(HANG_UP_AFTER_MS)).catch(() => undefined);
    if (answer?.status === 404) {
      history.record({ kind: 'read', id, from, status: 'gone' });
      return 'gone';
    }
    if (answer?.status !== 200) return undefined;
    const job = jobSchema.parse(answer.body);
    const ending = endingOf(job);
    const { status } = job;
    history.record({ kind: 'read', id, from, status, ...(ending !== undefined && { ending }) });
    return status;
  }

  async function end(what: 'cancel' | 'delete', tenant: Tenant, id: string): Promise<void> {
    history.record({ kind: 'asked', what, id });
    const at = `/v1/jobs/${id}`;
    const sent =
      what === 'cancel'
        ? ({ method: 'POST', path: `${at}/cancel` } as const)
        : ({ method: 'DELETE', path: at } as const);
    const limit = AbortSignal.timeout(ACCEPT_LIMIT_MS + HANG_UP_AFTER_MS);
    const answer = await send({ ...sent, headers: headersOf(tenant) }, limit).catch(
      () => undefined,
    );
    if (answer?.status === 200) history.record({ kind: 'done', what, id });
  }

  /** Like a load balancer: the gateways in turn, the next one only if a connection was refused. */
  async function send(sent: Outgoing, limit: AbortSignal, gateway?: Gateway): Promise<HttpAnswer> {
    const all = gateway ? [gateway] : product.gateways;
    turn += 1;
    for (let tries = 0; ; tries += 1) {
      const to = all[(turn + tries) % all.length];
      if (!to) throw new Error('no gateway');
      try {
        return await exchange(to.callUrl, sent, limit);
      } catch (error) {
        const isRefused = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
        if (!isRefused || tries >= all.length) throw error;
      }
    }
  }
}

export type Callers = Awaited<ReturnType<typeof createCallers>>;

interface Outgoing {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  headers: Record<string, string>;
  body?: string;
}

/** On a connection of its own, so that no request is lost to a connection that just closes. */
function exchange(base: string, sent: Outgoing, signal: AbortSignal): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const { method, path, headers } = sent;
    const outgoing = request(new URL(path, base), { method, headers, agent: false, signal });
    outgoing.once('error', reject).end(sent.body);
    outgoing.once('response', (answer) => {
      const status = answer.statusCode ?? 0;
      const requestId = String(answer.headers['request-id'] ?? '');
      const body = text(answer).then(parseJson);
      body.then((parsed) => resolve({ status, requestId, body: parsed }), reject);
    });
  });
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function describeAnswer(call: number, { status, requestId: id, body }: HttpAnswer): Answered {
  const common = { kind: 'answered', call, status, isDocumented: true } as const;
  const accepted = { ...common, id };
  if (status === 200) {
    const verdict = verdictSchema.safeParse(body);
    if (verdict.success) return { ...accepted, ending: scoreOf(verdict.data) };
  } else if (status === 202) {
    const job = jobSchema.safeParse(body);
    if (job.success) return accepted;
  } else {
    const error = errorSchema.safeParse(body);
    if (error.success && error.data.request_id === id) {
      const { error_code: code } = error.data;
      const isAccepted = code === 'timeout' || code === 'canceled';
      return {
        ...(isAccepted ? accepted : common),
        error: code,
        ...(code === 'canceled' && { ending: code }),
      };
    }
  }
  return { ...common, isDocumented: false };
}

/** JSON bodies, by image. */
async function createImages(): Promise<string[]> {
  return Promise.all(
    Array.from({ length: IMAGES + 1 }, async (_, image) => {
      const red = Math.round(255 * (1 - image / 100));
      const background = { r: red, g: 255 - red, b: 0 };
      const create = { width: SIDE, height: SIDE, channels: 3, background } as const;
      const png = await sharp({ create }).png().toBuffer();
      return JSON.stringify({ image: png.toString('base64') });
    }),
  );
}
