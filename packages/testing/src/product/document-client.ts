import { randomUUID } from 'node:crypto';
import { type ErrorCode, errorMessages } from '@livegate/core/domain';
import { expect } from 'vitest';
import { createOpenApiDocument } from '../../../../apps/api/src/openapi/create-document.js';
import { pageAssets } from '../../../../apps/api/src/openapi/serve-docs.js';
import { noFace } from '../images/photos.js';
import {
  type CheckedAnswer,
  createDocumentChecker,
  type DocumentedOperation,
  listOperations,
} from './document-checker.js';
import { authOf, type DocumentedProduct } from './documented-product.js';

/** A gateway with the default limits. */
const facts = {
  limits: { maxImageBytes: 10 * 1024 * 1024, maxImagePixels: 52_000_000 },
  waitLimitMs: 25_000,
  publicUrl: undefined,
  pageAssets,
};
export const document = createOpenApiDocument({ ...facts, body: 'multipart' });
/** The same with the image in JSON. */
export const jsonDocument = createOpenApiDocument({ ...facts, body: 'json' });
export const operations = listOperations(document);
export const checker = createDocumentChecker(document);

export function operationOf(name: string): DocumentedOperation {
  const found = operations.find(({ operation }) => operation.operationId === name);
  if (!found) throw new Error(`the document has no ${name}`);
  return found;
}

/** Errors whose message may be more specific than the default of their code. */
const specificMessages = new Set<string>([
  'image_dimensions_exceeded',
  'image_too_large',
  'invalid_image',
  'invalid_request',
  'rate_limited',
  'unsupported_image_type',
  'unsupported_media_type',
  'webhook_url_refused',
]);

export function expectAsDocumented(documented: DocumentedOperation, answer: CheckedAnswer): void {
  expect(checker.check(documented, answer)).toEqual([]);
  const { error_code: code, error_message: message } = answer.body as Record<string, string>;
  if (code !== undefined && !specificMessages.has(code)) {
    expect(message).toBe(errorMessages[code as ErrorCode]);
  }
}

export interface Sent {
  params?: Record<string, string>;
  headers?: Record<string, string>;
  body?: NonNullable<RequestInit['body']>;
  baseUrl?: string;
}

export function form(...images: (Buffer | string)[]): FormData {
  const body = new FormData();
  for (const image of images) body.append('image', new Blob([Uint8Array.from(Buffer.from(image))]));
  return body;
}

export function asJson(body: unknown) {
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

/** An id that nothing has. */
function unknown(name: string): string {
  return name === 'sid' ? randomUUID().replaceAll('-', '') : randomUUID();
}

export type DocumentClient = ReturnType<typeof createDocumentClient>;

/** Calls operations of a running gateway by their ids, and creates the jobs and endpoints they need. */
export function createDocumentClient(product: DocumentedProduct) {
  return {
    send,
    call,
    submitJob,
    finishJob,
    createEndpoint,
    createSession,
    createPhoto,
    readToken,
    createDelivery,
    createParams,
    tidy,
  };

  async function send({ path, method }: { path: string; method: string }, sent: Sent = {}) {
    const { params = {}, headers = {}, body, baseUrl = product.api.url } = sent;
    const filled = path.replaceAll(
      /\{(\w+)\}/g,
      (_, name: string) => params[name] ?? unknown(name),
    );
    const response = await fetch(baseUrl + filled, {
      method: method.toUpperCase(),
      headers: { ...authOf('default-username'), ...headers },
      ...(body !== undefined && { body }),
    });
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    const text = await response.text();
    return {
      status: response.status,
      headers: new Map(response.headers.entries()),
      body: (isJson ? JSON.parse(text) : text) as Record<string, unknown>,
    };
  }

  function call(name: string, sent: Sent = {}) {
    return send(operationOf(name), sent);
  }

  async function submitJob(headers: Record<string, string> = {}): Promise<string> {
    const { status, body } = await call('checkPassiveLiveness', {
      headers: { prefer: 'respond-async', ...headers },
      body: form(await noFace()),
    });
    expect(status).toBe(202);
    return String(body['id']);
  }

  async function finishJob(): Promise<string> {
    const id = await submitJob();
    const { body } = await call('readJob', { params: { id }, headers: { prefer: 'wait=20' } });
    expect(body).toMatchObject({ status: 'succeeded' });
    return id;
  }

  /** Creates an endpoint at the receiver of `startDocumentedProduct`. */
  async function createEndpoint(...ends: string[]): Promise<string> {
    const events = ends.map((end) =>
      end === 'finished' ? `passive_liveness_session.${end}` : `passive_liveness.${end}`,
    );
    const sent = asJson({ url: product.receiver.url, events });
    const { status, body } = await call('createWebhookEndpoint', sent);
    expect(status).toBe(201);
    return String(body['id']);
  }

  /** With a `cancel_url`, so that every operation on it succeeds. */
  async function createSession(more: object = {}): Promise<string> {
    const urls = { success_url: 'https://shop.example/', cancel_url: 'https://shop.example/' };
    const { status, body } = await call('createSession', asJson({ ...urls, ...more }));
    expect(status).toBe(200);
    return String(body['sid']);
  }

  /** The fields of a photo that the session accepts. */
  async function createPhoto(sid: string, image: Buffer): Promise<FormData> {
    const photo = form(image);
    photo.set('token', await readToken(sid));
    return photo;
  }

  async function readToken(sid: string): Promise<string> {
    const { body } = await call('readSessionState', { params: { sid } });
    return String(body['token']);
  }

  async function createDelivery() {
    const id = await createEndpoint('canceled');
    const { body } = await call('sendTestWebhook', { params: { id } });
    return { id, delivery: String(body['id']) };
  }

  /** Path parameters with which the operation succeeds. */
  async function createParams({
    path,
    operation,
  }: DocumentedOperation): Promise<Record<string, string>> {
    if (operation.operationId === 'replayWebhookDelivery') return createDelivery();
    if (path.includes('/webhook-endpoints/{id}')) return { id: await createEndpoint('canceled') };
    if (operation.operationId === 'cancelJob') return { id: await submitJob() };
    if (path.includes('{sid}')) return { sid: await createSession() };
    if (path.includes('{asset}')) return { asset: pageAssets[0]! };
    return path.includes('{id}') ? { id: await finishJob() } : {};
  }

  /** Deletes all endpoints: a tenant may have 16 at most. */
  async function tidy(): Promise<void> {
    const { body } = await call('listWebhookEndpoints');
    for (const { id } of body['endpoints'] as { id: string }[]) {
      await call('removeWebhookEndpoint', { params: { id } });
    }
  }
}
