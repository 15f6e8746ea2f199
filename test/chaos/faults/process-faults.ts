import type { Fault } from './fault.js';

const [first, second] = [0, 1];
const killed = { leavesExpiring: true } as const;

/** Longer than the lock of a job (10 s) and two checks for stalled jobs. */
const PAST_THE_LOCK_MS = 16_000;

/** Faults of our own processes. */
export const processFaults: Fault[] = [
  {
    name: 'SIGKILL of a worker',
    promise: 'Another worker runs its checks again, and each ends once.',
    holdMs: 1000,
    excuses: killed,
    isQuick: true,
    async inject(product) {
      await product.remove(product.workers[first]!, 'SIGKILL');
      return () => product.addWorker();
    },
  },
  {
    name: 'SIGKILL of a gateway',
    promise:
      'Only callers that wait at it get no answer; checks with a key or a webhook go on, others end.',
    holdMs: 1000,
    excuses: { ...killed, losesCallers: true },
    isQuick: true,
    async inject(product) {
      await product.remove(product.gateways[first]!, 'SIGKILL');
      return () => product.addGateway();
    },
  },
  {
    name: 'Death of all engine threads of a worker',
    promise: 'The worker opens new engines, and runs the images that were in the old ones again.',
    holdMs: 500,
    isQuick: true,
    async inject({ workers }) {
      const crashed = workers[first]!.logged('engine crashed, opening a replacement');
      workers[first]!.child.kill('SIGUSR2');
      return () => crashed;
    },
  },
  {
    name: 'SIGSTOP of a worker past its locks, then SIGCONT',
    promise: 'Another worker runs its checks; what the first one still finishes changes nothing.',
    holdMs: PAST_THE_LOCK_MS,
    async inject({ workers }) {
      workers[second]!.child.kill('SIGSTOP');
      return async () => workers[second]!.child.kill('SIGCONT');
    },
  },
  {
    name: 'No worker for 20 s',
    promise: 'Accepted checks wait; new ones are refused with 503 once the workers count as dead.',
    holdMs: 20_000,
    excuses: killed,
    async inject(product) {
      await Promise.all([...product.workers].map((worker) => product.remove(worker, 'SIGKILL')));
      return () => Promise.all([product.addWorker(), product.addWorker()]);
    },
  },
];
