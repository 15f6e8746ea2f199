const credentials = {
  authorization: `Basic ${Buffer.from('default-username:default-password').toString('base64')}`,
  'x-api-key': 'default-api-key',
};
const CHECKS = '/face/v1/passive-liveness';
const SESSIONS = '/face/v1/passive-liveness-sessions';

/** What callers do, in turns: of 20, how many do what. */
const shares = {
  waits: 10,
  'sends with a key': 3,
  'polls a job': 3,
  'deletes a job': 1,
  'sends no image': 1,
  'hangs up': 1,
  'opens a session': 1,
} as const;
type Action = keyof typeof shares;
const turns = Object.entries(shares).flatMap(([name, times]) =>
  Array<Action>(times).fill(name as Action),
);

export interface MixedLoad {
  /** Does what is next; rejects if an answer is neither as expected nor a 503. */
  act(): Promise<void>;
  /** Latencies of the checks that were waited for, since the last call. */
  takeLatencies(): number[];
  /** How often each action was done. */
  counts(): Record<string, number>;
  /** The share of actions that got a 503. */
  refusedShare(): number;
}

class Refusal extends Error {}

/** Waiting and async callers, sessions, keys, deletions, refusals and clients that hang up. */
export function createMixedLoad(url: string, image: Buffer): MixedLoad {
  const counts = new Map<Action, number>();
  let latencies: number[] = [];
  let next = 0;
  let refused = 0;
  const actions = createActions(createCaller(url, image), image, (ms) => latencies.push(ms));

  return {
    async act() {
      // Consecutive actions differ.
      const action = turns[(next++ * 7) % turns.length]!;
      counts.set(action, (counts.get(action) ?? 0) + 1);
      try {
        await actions[action]();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refused += 1;
      }
    },
    takeLatencies() {
      const taken = latencies;
      latencies = [];
      return taken;
    },
    counts: () => Object.fromEntries(counts),
    refusedShare: () => refused / Math.max(next, 1),
  };
}

function createActions(
  { ask, check }: ReturnType<typeof createCaller>,
  image: Buffer,
  noteLatency: (ms: number) => void,
): Record<Action, () => Promise<void>> {
  let keys = 0;
  return {
    waits: async () => {
      const begun = performance.now();
      await check({}, 200);
      noteLatency(performance.now() - begun);
    },
    'sends with a key': async () =>
      void (await check({ 'idempotency-key': `soak-${(keys += 1)}` }, 200)),
    'polls a job': async () => {
      const { id } = await check({ prefer: 'respond-async' }, 202);
      await ask(`/v1/jobs/${id}`, { headers: { prefer: 'wait=20' } }, 200);
    },
    'deletes a job': async () => {
      const { id } = await check({ prefer: 'respond-async' }, 202);
      await ask(`/v1/jobs/${id}`, { method: 'DELETE' }, 200);
    },
    'sends no image': async () => void (await ask(CHECKS, send(Buffer.from('no image')), 400)),
    'hangs up': async () => {
      const signal = AbortSignal.timeout(5);
      await ask(CHECKS, { ...send(image), signal }, 200).catch(() => undefined);
    },
    'opens a session': async () => {
      const body = JSON.stringify({ success_url: 'https://example.com/' });
      const headers = { 'content-type': 'application/json' };
      const { sid } = await ask(SESSIONS, { method: 'POST', headers, body }, 200);
      await ask(`/sessions/${sid}/state`, {}, 200);
      await ask(`${SESSIONS}/${sid}`, { method: 'DELETE' }, 200);
    },
  };
}

/** Sends requests that must have this status. */
function createCaller(url: string, image: Buffer) {
  const check = (headers: Record<string, string>, status: number) =>
    ask(CHECKS, send(image, headers), status);
  return { ask, check };

  async function ask(path: string, init: RequestInit, status: number): Promise<Answer> {
    const headers = { ...credentials, ...(init.headers as Record<string, string>) };
    const response = await fetch(url + path, { ...init, headers });
    const text = await response.text();
    if (response.status === 503) throw new Refusal();
    if (response.status !== status) throw new Error(`${path} answered ${response.status}: ${text}`);
    return JSON.parse(text) as Answer;
  }
}

interface Answer {
  id?: string;
  sid?: string;
}

function send(image: Buffer, headers: Record<string, string> = {}) {
  const body = new FormData();
  body.set('image', new Blob([Uint8Array.from(image)]), 'selfie.jpg');
  return { method: 'POST', headers, body };
}
