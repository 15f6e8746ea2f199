import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP, type LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { callbackify } from 'node:util';
import { LivegateError } from '@livegate/core/domain';
import ipaddr from 'ipaddr.js';

/** An address and its prefix length. */
export type AddressRange = ReturnType<typeof ipaddr.parseCIDR>;

/** Public by their numbers, but not by what answers there. */
const platformRanges = [
  // Azure's platform service: metadata and credentials of the machine.
  ipaddr.parseCIDR('168.63.129.16/32'),
];
/** All of IPv6 that is handed out to the public; it leaves out ::a.b.c.d and what is not assigned. */
const globalUnicast = ipaddr.parseCIDR('2000::/3');

export interface AddressGuard {
  /** Throws `webhook_url_refused`. */
  requireAddress(address: string): void;
  /**
   * For a socket to connect with: resolves the name once, and lets the socket have only addresses
   * that were checked. So no name can point elsewhere between the check and the connect.
   */
  lookup: LookupFunction;
}

export interface AddressGuardOptions {
  resolveName?: ResolveName;
  /** How long a look-up takes that leads nowhere, whatever the reason. */
  failAfterMs?: number;
}

/** Lets webhooks reach the public internet, and what is `allowed` besides. */
export function createAddressGuard(
  allowed: AddressRange[],
  options: AddressGuardOptions = {},
): AddressGuard {
  const { resolveName = createResolveName(), failAfterMs = LOOKUP_LIMIT_MS } = options;

  function requireAddress(text: string): void {
    const address = ipaddr.parse(text);
    if (isWithin(address, allowed) || isPublic(address)) return;
    throw refuseHost(`${text} is ${address.range()}`);
  }

  /**
   * A tenant must not learn which names exist inside the network: one that is unknown, that leads to a
   * refused address or that no server answers for fails with the same words after the same time.
   */
  async function resolveChecked(hostname: string): Promise<Address[]> {
    const startedAt = performance.now();
    try {
      const addresses = await resolveName(hostname);
      for (const { address } of addresses) requireAddress(address);
      return addresses;
    } catch (error) {
      await sleep(failAfterMs - (performance.now() - startedAt));
      if (error instanceof LivegateError) throw error;
      // Not its message: that holds the name, which is the tenant's.
      throw refuseHost(`look-up failed: ${(error as NodeJS.ErrnoException).code}`);
    }
  }

  return {
    requireAddress,
    lookup(hostname, { all }, callback) {
      callbackify(resolveChecked)(hostname, (error, addresses) => {
        if (error || all) return callback(error, addresses);
        const [first] = addresses;
        callback(null, first?.address ?? '', first?.family);
      });
    },
  };
}

function refuseHost(detail: string): LivegateError {
  const publicMessage = 'webhooks are delivered to public addresses only, and this host has none';
  return new LivegateError('webhook_url_refused', { publicMessage, detail });
}

/** A comma-separated list of addresses and CIDR ranges. Throws an Error that names a wrong one. */
export function parseAddressRanges(list: string): AddressRange[] {
  return list.split(',').map((entry) => parseRange(entry.trim()));
}

function parseRange(text: string): AddressRange {
  const version = isIP(text);
  if (version !== 0) return ipaddr.parseCIDR(`${text}/${version === 4 ? 32 : 128}`);
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  throw new Error(`"${text}" is neither an IP address nor a CIDR range`);
}

/** Whatever carries an IPv4 address inside IPv6 (mapped, 6to4, NAT64, Teredo) is not public. */
function isPublic(address: ReturnType<typeof ipaddr.parse>): boolean {
  if (address.range() !== 'unicast' || isWithin(address, platformRanges)) return false;
  return address.kind() === 'ipv4' || isWithin(address, [globalUnicast]);
}

function isWithin(address: ReturnType<typeof ipaddr.parse>, ranges: AddressRange[]): boolean {
  return ranges.some((range) => range[0].kind() === address.kind() && address.match(range));
}

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
