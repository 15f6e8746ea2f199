import { randomUUID } from 'node:crypto';
import {
  activeSecrets,
  createWebhookSecret,
  disableEndpoint,
  enableEndpoint,
  LivegateError,
  rotateSecrets,
  type WebhookEndpoint,
  type WebhookSecret,
} from '@livegate/core/domain';
import type { WebhookQueue, WebhookStore } from '@livegate/core/ports';
import type { Request, RequestHandler, Response } from 'express';
import type { z } from 'zod';
import {
  changesSchema,
  creationSchema,
  presentEndpoint,
  presentTimeOrNull,
  type rotatedSecretSchema,
  rotationSchema,
} from '../contract/webhooks.js';
import { baseUrlOf } from '../http/base-url.js';
import { parseBody } from '../http/read-json-body.js';
import { requireWebhookUrl, type WebhookUrlRules } from './webhook-url.js';

const MAX_ENDPOINTS = 16;

export interface EndpointHandlersDeps {
  store: WebhookStore;
  queue: Pick<WebhookQueue, 'withdraw'>;
  urlRules: WebhookUrlRules;
  /** The URL of this service, if configured. */
  publicUrl?: string | undefined;
  now: () => number;
}

/** The handlers of a tenant's endpoints. Only the answer that creates an endpoint shows its secret. */
export function createEndpointHandlers({
  store,
  queue,
  urlRules,
  publicUrl,
  now,
}: EndpointHandlersDeps) {
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
      const deliveryIds = requireFound(await store.removeEndpoint(at));
      await queue.withdraw({ deliveryIds });
      res.json({ id: at.id, deleted: true });
    },
  } satisfies Record<string, RequestHandler>;
}

/** Throws the same `not_found` for an unknown id and for another tenant's. */
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

export interface SecretHandlersDeps {
  store: WebhookStore;
  now: () => number;
}

/** The handlers that rotate secrets. Only the answer of a rotation shows the new secret. */
export function createSecretHandlers({ store, now }: SecretHandlersDeps) {
  return {
    rotateEndpointSecret: async (req, res) => {
      const overlapMs = parseBody(req, rotationSchema).overlap_seconds * 1000;
      const rotated = await store.updateEndpoint(endpointAt(req, res), (latest) => ({
        ...latest,
        secrets: rotateSecrets(latest.secrets, now(), overlapMs),
      }));
      const endpoint = requireFound(rotated);
      res.json({ id: endpoint.id, ...presentRotation(endpoint.secrets, now()) });
    },
    rotateTenantSecret: async (req, res) => {
      const overlapMs = parseBody(req, rotationSchema).overlap_seconds * 1000;
      const secrets = await store.updateTenantSecrets(res.locals.credential.tenant, (latest) =>
        rotateSecrets(latest, now(), overlapMs),
      );
      res.json(presentRotation(secrets, now()));
    },
  } satisfies Record<string, RequestHandler>;
}

function presentRotation(
  secrets: WebhookSecret[],
  now: number,
): z.output<typeof rotatedSecretSchema> {
  const [current, previous] = activeSecrets(secrets, now);
  return {
    secret: current?.secret ?? '',
    previous_secret_expires_at: presentTimeOrNull(previous?.expiresAt),
  };
}
