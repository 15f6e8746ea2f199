/** BullMQ's name of the queue that carries liveness checks. */
export const CHECK_QUEUE = 'liveness';

/**
 * Every Redis key of the product. The prefix (default `{livegate}`) is also BullMQ's; its braces
 * are a Redis Cluster hash tag, so that all keys of one installation share a slot.
 */
export function createKeys(prefix: string) {
  return {
    prefix,
    image: (id: string) => `${prefix}:image:${id}`,
    replies: (gatewayId: string) => `${prefix}:replies:${gatewayId}`,
    schema: `${prefix}:schema`,
    worker: (id: string) => `${prefix}:worker:${id}`,
    workers: `${prefix}:workers`,
    rateLimit: `${prefix}:rate`,
  };
}

/** The keys of one installation. */
export type Keys = ReturnType<typeof createKeys>;
