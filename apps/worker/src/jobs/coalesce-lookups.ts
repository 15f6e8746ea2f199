/** Most ids in one round trip. */
const MAX_IDS = 64;

/**
 * Finds what belongs to each id, in the order of the ids. An `Error` rejects the look-up of that
 * id.
 */
export type FindAll<Found, Id = string> = (ids: Id[]) => Promise<(Found | Error)[]>;

interface Lookup<Found, Id> {
  id: Id;
  resolve(found: Found): void;
  reject(error: unknown): void;
}

/**
 * Looks up one id a call, in shared round trips to Redis. One round trip is in flight at a time;
 * the ids that arrive meanwhile share the next one. A failed round trip rejects all of its
 * look-ups.
 */
export function coalesceLookups<Found, Id = string>(
  findAll: FindAll<Found, Id>,
): (id: Id) => Promise<Found> {
  const waiting: Lookup<Found, Id>[] = [];
  let isInFlight = false;

  return (id) =>
    new Promise((resolve, reject) => {
      waiting.push({ id, resolve, reject });
      // In a microtask, so that the look-ups of one tick share a round trip.
      queueMicrotask(() => void sendNext());
    });

  async function sendNext(): Promise<void> {
    if (isInFlight || waiting.length === 0) return;
    isInFlight = true;
    await answer(waiting.splice(0, MAX_IDS), findAll);
    isInFlight = false;
    void sendNext();
  }
}

async function answer<Found, Id>(
  lookups: Lookup<Found, Id>[],
  findAll: FindAll<Found, Id>,
): Promise<void> {
  try {
    const found = await findAll(lookups.map(({ id }) => id));
    for (const [i, { resolve, reject }] of lookups.entries()) {
      const each = found[i];
      if (each instanceof Error) reject(each);
      else resolve(each as Found);
    }
  } catch (error) {
    for (const { reject } of lookups) reject(error);
  }
}
