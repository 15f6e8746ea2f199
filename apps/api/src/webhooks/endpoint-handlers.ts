import { randomUUID } from 'node:crypto';
import {
  createWebhookSecret,
  disableEndpoint,
  enableEndpoint,
  LivegateError,
  webhookEventTypes,
  type WebhookEndpoint,
  type WebhookStore,
} from '@livegate/core';
import type { Request, RequestHandler, Response } from 'express';
import { z } from 'zod';
import { baseUrlOf } from '../base-url.js';
import { presentEndpoint } from './present-webhooks.js';
import { parseBody } from './read-json-body.js';
import { requireWebhookUrl, type WebhookUrlRules } from './webhook-url.js';

const MAX_ENDPOINTS = 16;

export const changesSchema = z.strictObject({
  url: z.string().optional(),
  events: z
    .array(z.enum(webhookEventTypes))
    .min(1)
    .transform((events) => [...new Set(events)])
    .optional(),
  description: z.string().max(256).nullable().optional(),
  enabled: z.boolean().optional(),
});
export const creationSchema = changesSchema
  .omit({ enabled: true })
  .required({ url: true, events: true });

export interface EndpointHandlersDeps {
  store: WebhookStore;
  urlRules: WebhookUrlRules;
  /** Where callers reach this service, when that is not the request's own host. */
  publicUrl?: string | undefined;
  now: () => number;
}

/** A tenant's endpoints. The first secret of each is in the answer that creates it, and nowhere else. */
export function createEndpointHandlers({ store, urlRules, publicUrl, now }: EndpointHandlersDeps) {
  return {
    list: async (_req, res) => {
      const endpoints = await store.listEndpoints(res.locals.credential.tenant);
      res.json({ endpoints: endpoints.map(presentEndpoint) });
    },
    create: async (req, res) => {
      const { url, events, description } = parseBody(req, creationSchema);
      const secret = createWebhookSecret();
      const endpoint: WebhookEndpoint = {
        id: `whe_${randomUUID().replaceAll('-', '')}`,
        tenant: res.locals.credential.tenant,
        url: requireWebhookUrl(url, urlRules).href,
        events,
        ...(description && { description }),
        enabled: true,
        createdAt: now(),
        secrets: [secret],
      };
      await store.addEndpoint(endpoint, MAX_ENDPOINTS);
      res.location(`${baseUrlOf(req, publicUrl)}/v1/webhook-endpoints/${endpoint.id}`).status(201);
      res.json({ ...presentEndpoint(endpoint), secret: secret.secret });
    },
    read: async (req, res) => {
      res.json(presentEndpoint(await readEndpoint(store, req, res)));
    },
    update: async (req, res) => {
      const changes = parseBody(req, changesSchema);
      if (changes.url !== undefined) changes.url = requireWebhookUrl(changes.url, urlRules).href;
      const changed = await store.updateEndpoint(endpointAt(req, res), (latest) =>
        applyChanges(latest, changes),
      );
      res.json(presentEndpoint(requireFound(changed)));
    },
    remove: async (req, res) => {
      const at = endpointAt(req, res);
      if (!(await store.removeEndpoint(at))) throw new LivegateError('not_found');
      res.json({ id: at.id, deleted: true });
    },
  } satisfies Record<string, RequestHandler>;
}

/** Throws `not_found` for an unknown id, and no differently for another tenant's. */
export async function readEndpoint(store: WebhookStore, req: Request, res: Response) {
  return requireFound(await store.readEndpoint(endpointAt(req, res)));
}

export function endpointAt(req: Request, res: Response) {
  return { tenant: res.locals.credential.tenant, id: String(req.params['id']) };
}

export function requireFound<T>(found: T | undefined): T {
  if (found === undefined) throw new LivegateError('not_found');
  return found;
}

function applyChanges(
  endpoint: WebhookEndpoint,
  { url, events, description, enabled }: z.output<typeof changesSchema>,
): WebhookEndpoint {
  const { description: former, ...rest } = endpoint;
  const text = description === undefined ? former : description;
  const changed = {
    ...rest,
    ...(url !== undefined && { url }),
    ...(events && { events }),
    ...(text && { description: text }),
  };
  if (enabled === undefined || enabled === endpoint.enabled) return changed;
  return enabled ? enableEndpoint(changed) : disableEndpoint(changed, 'requested');
}
