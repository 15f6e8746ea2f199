import {
  activeSecrets,
  rotateSecrets,
  type WebhookSecret,
  type WebhookStore,
} from '@livegate/core';
import type { RequestHandler } from 'express';
import { z } from 'zod';
import type { rotatedSecretSchema } from '../openapi/webhook-schemas.js';
import { endpointAt, requireFound } from './endpoint-handlers.js';
import { presentTimeOrNull } from './present-webhooks.js';
import { parseBody } from './read-json-body.js';

const DAY_SECONDS = 24 * 60 * 60;

export const rotationSchema = z.strictObject({
  overlap_seconds: z
    .int()
    .min(0)
    .max(7 * DAY_SECONDS)
    .default(DAY_SECONDS),
});

export interface SecretHandlersDeps {
  store: WebhookStore;
  now: () => number;
}

/** Fresh secrets. One is shown in the answer that makes it, and never again. */
export function createSecretHandlers({ store, now }: SecretHandlersDeps) {
  return {
    rotateEndpoints: async (req, res) => {
      const overlapMs = parseBody(req, rotationSchema).overlap_seconds * 1000;
      const rotated = await store.updateEndpoint(endpointAt(req, res), (latest) => ({
        ...latest,
        secrets: rotateSecrets(latest.secrets, now(), overlapMs),
      }));
      const endpoint = requireFound(rotated);
      res.json({ id: endpoint.id, ...presentRotation(endpoint.secrets, now()) });
    },
    rotateTenants: async (req, res) => {
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
