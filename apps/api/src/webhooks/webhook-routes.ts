import { Router, type RequestHandler } from 'express';
import { refuseMethod } from '../error-handler.js';
import { createDeliveryHandlers, type DeliveryHandlersDeps } from './delivery-handlers.js';
import { createEndpointHandlers, type EndpointHandlersDeps } from './endpoint-handlers.js';
import { readJsonBody } from './read-json-body.js';
import { createSecretHandlers } from './secret-handlers.js';

export type WebhookRoutesDeps = EndpointHandlersDeps & DeliveryHandlersDeps;

/** Every route that manages webhooks. `mayManage` says who asks, and refuses who may not. */
export function webhookRoutes(deps: WebhookRoutesDeps, mayManage: RequestHandler): Router {
  const endpoints = createEndpointHandlers(deps);
  const secrets = createSecretHandlers(deps);
  const deliveries = createDeliveryHandlers(deps);
  const router = Router();
  const collection = '/v1/webhook-endpoints';
  const one = `${collection}/:id`;

  router.use([collection, '/v1/webhook-secret'], mayManage, readJsonBody);

  router.get(collection, endpoints.list);
  router.post(collection, endpoints.create);
  router.all(collection, refuseMethod('GET', 'HEAD', 'POST'));

  router.get(one, endpoints.read);
  router.patch(one, endpoints.update);
  router.delete(one, endpoints.remove);
  router.all(one, refuseMethod('GET', 'HEAD', 'PATCH', 'DELETE'));

  router.get(`${one}/deliveries`, deliveries.list);
  router.all(`${one}/deliveries`, refuseMethod('GET', 'HEAD'));

  router.post(`${one}/rotate-secret`, secrets.rotateEndpoints);
  router.post(`${one}/test`, deliveries.sendTest);
  router.post(`${one}/deliveries/:delivery/replay`, deliveries.replay);
  router.post('/v1/webhook-secret', secrets.rotateTenants);
  router.all(
    [
      `${one}/rotate-secret`,
      `${one}/test`,
      `${one}/deliveries/:delivery/replay`,
      '/v1/webhook-secret',
    ],
    refuseMethod('POST'),
  );
  return router;
}
