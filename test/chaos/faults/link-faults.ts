import { type LinkFault, linkFaults, type TcpProxy } from '@livegate/testing/redis/tcp-proxy';
import type { ChaosProduct } from '../product/chaos-product.js';
import type { Fault } from './fault.js';

interface Link {
  name: string;
  find(product: ChaosProduct): TcpProxy;
  promise: string;
  holdMs: number;
  excuses?: Fault['excuses'];
}

const links: Link[] = [
  {
    name: 'callers and a gateway',
    find: ({ gateways }) => gateways[0]!.link,
    promise: 'Only its callers notice; checks that were accepted end.',
    holdMs: 2000,
    excuses: { losesCallers: true },
  },
  {
    name: 'gateways and Redis',
    find: (product) => product.links['gateways to Redis'],
    promise: 'Callers get an answer or 503, no request hangs.',
    holdMs: 2000,
    excuses: { leavesExpiring: true },
  },
  {
    name: 'workers and Redis',
    find: (product) => product.links['workers to Redis'],
    promise: 'Accepted checks wait and end; their locks may expire, and each still ends once.',
    holdMs: 2000,
    excuses: { leavesExpiring: true },
  },
  {
    name: 'gateways and a webhook receiver',
    find: (product) => product.links['gateways to webhook receiver'],
    promise: 'The message is sent again.',
    holdMs: 2000,
  },
];

const quick = new Set(['half-open gateways and Redis', 'half-open workers and Redis']);

/** Each link with each fault. */
export const allLinkFaults: Fault[] = links.flatMap((link) =>
  linkFaults.map((fault) => toFault(link, fault)),
);

function toFault({ name, find, ...link }: Link, fault: LinkFault): Fault {
  return {
    ...link,
    name: `Link between ${name}: ${fault}`,
    ...(quick.has(`${fault} ${name}`) && { isQuick: true as const }),
    async inject(product) {
      const broken = find(product);
      broken.fail(fault);
      return async () => broken.heal();
    },
  };
}
