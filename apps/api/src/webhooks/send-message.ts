import http, { type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import { type DeliveryAttempt, LivegateError } from '@livegate/core/domain';
import type { Log } from '@livegate/core/telemetry';
import { Webhook } from 'standardwebhooks';
import { requireWebhookUrl, type WebhookUrlRules } from './webhook-url.js';

const USER_AGENT = 'Livegate-Webhooks/1.0';
const EXCERPT_BYTES = 1024;

export interface Message {
  /** The `webhook-id`. */
  id: string;
  url: string;
  /** The JSON body. */
  payload: string;
  /** The message is signed with each of them. */
  secrets: string[];
}

export interface SendMessageOptions {
  urlRules: WebhookUrlRules;
  /** Timeout of the whole attempt: DNS, connection, answer and its body. */
  limitMs: number;
  now: () => number;
  log: Log;
}

/** Never rejects: a failure is recorded in the attempt. */
export type SendMessage = (message: Message) => Promise<DeliveryAttempt>;

/** Signs as Standard Webhooks requires and posts once. Follows no redirect, reuses no connection. */
export function createSendMessage(options: SendMessageOptions): SendMessage {
  const { urlRules, limitMs, now, log } = options;
  return async (message) => {
    const at = now();
    const signal = AbortSignal.timeout(limitMs);
    try {
      const url = requireWebhookUrl(message.url, urlRules);
      const { lookup } = urlRules.guard;
      const headers = describeMessage(message, at);
      const request = { method: 'POST', headers, lookup, signal, agent: false } as const;
      const answer = await post(url, request, message.payload);
      const facts = await readAnswer(answer, now());
      return { at, latencyMs: now() - at, ...facts };
    } catch (error) {
      if (error instanceof LivegateError) {
        log.info({ deliveryId: message.id, reason: error.message }, 'webhook not sent');
      }
      const reason = signal.aborted ? `no answer within ${limitMs} ms` : describeFailure(error);
      return { at, latencyMs: now() - at, error: reason };
    }
  };
}

function describeMessage({ id, payload, secrets }: Message, at: number) {
  const timestamp = new Date(at);
  const signatures = secrets.map((secret) => new Webhook(secret).sign(id, timestamp, payload));
  return {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(payload),
    'user-agent': USER_AGENT,
    'webhook-id': id,
    'webhook-timestamp': Math.floor(at / 1000),
    'webhook-signature': signatures.join(' '),
  };
}

async function post(url: URL, options: RequestOptions, body: string): Promise<IncomingMessage> {
  const { request } = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    request(url, options, resolve)
      .on('error', reject)
      // The last event of every request, even of one without an answer or an error.
      .on('close', () => reject(new Error('the connection was closed')))
      .end(body);
  });
}

async function readAnswer(answer: IncomingMessage, now: number) {
  const retryAfterMs = parseRetryAfter(answer.headers['retry-after'], now);
  const responseExcerpt = await readExcerpt(answer);
  return {
    ...(answer.statusCode !== undefined && { statusCode: answer.statusCode }),
    ...(responseExcerpt && { responseExcerpt }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

/** `Retry-After` (seconds or an HTTP date) as milliseconds from `now`; `undefined` if invalid. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  if (!/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/.test(header)) return undefined;
  const waitMs = Date.parse(header) - now;
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}

/** Leaving the loop destroys the connection, which cuts off an endless answer. */
async function readExcerpt(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= EXCERPT_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, EXCERPT_BYTES).toString();
}

/** The tenant reads this: it contains nothing internal, such as the addresses of a name. */
function describeFailure(error: unknown): string {
  if (error instanceof LivegateError) return error.publicMessage;
  const { code } = error as NodeJS.ErrnoException;
  return code ? `the connection failed: ${code}` : 'the connection failed';
}
