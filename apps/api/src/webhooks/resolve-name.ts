import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

export interface Address {
  address: string;
  family: number;
}

/** Resolves to every address of a host name. Rejects where there is none. */
export type ResolveName = (hostname: string) => Promise<Address[]>;

/** Of one question to one name server, which is asked again once, for twice as long. */
const TRY_MS = 1000;
const TRIES = 2;
/** Of the whole look-up, unless told otherwise. */
export const LOOKUP_LIMIT_MS = 3000;

export interface ResolveNameOptions {
  /** `address:port` of each name server; unset, those of the system. */
  servers?: string[];
  limitMs?: number;
  hostsFile?: string;
}

/**
 * Asks the name servers itself. `dns.lookup` occupies one of the four threads of libuv for as long as
 * getaddrinfo waits, so four slow names of one tenant would stop every other look-up of the process,
 * those of Redis included.
 *
 * The hosts file, read once, goes first; unlike getaddrinfo, no search domain is added to a name.
 */
export function createResolveName(options: ResolveNameOptions = {}): ResolveName {
  const hosts = readHosts(options.hostsFile ?? '/etc/hosts');

  return async (hostname) => {
    const name = hostname.toLowerCase().replace(/\.$/, '');
    const known = hosts.get(name);
    return known ? known.map(toAddress) : askServers(name, options);
  };
}

async function askServers(
  name: string,
  { servers, limitMs = LOOKUP_LIMIT_MS }: ResolveNameOptions,
): Promise<Address[]> {
  // One of its own for each name: c-ares avoids a server that left a question unanswered, and that is
  // no reason to avoid it for the names of others. It also reads the system's name servers anew.
  const resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
  if (servers) resolver.setServers(servers);
  const limit = setTimeout(() => resolver.cancel(), limitMs);
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  clearTimeout(limit);
  const found = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  if (found.length === 0) throw v4.status === 'rejected' ? v4.reason : new Error('no address');
  return found.map(toAddress);
}

/** Each name of a hosts file with its addresses. RFC 6761 gives `localhost` to loopback in any case. */
function readHosts(path: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of readLines(path)) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().toLowerCase().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names) hosts.set(name, [...(hosts.get(name) ?? []), address]);
  }
  return hosts.has('localhost') ? hosts : hosts.set('localhost', ['127.0.0.1', '::1']);
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function toAddress(address: string): Address {
  return { address, family: isIP(address) };
}
