import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP, type LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { callbackify } from 'node:util';
import { LivegateError } from '@livegate/core/domain';
import ipaddr from 'ipaddr.js';

/** An address and its prefix length. */
export type AddressRange = ReturnType<typeof ipaddr.parseCIDR>;

/** Public by number, but served by the cloud platform itself. */
const platformRanges = [
  // Azure's platform service: metadata and credentials of the machine.
  ipaddr.parseCIDR('168.63.129.16/32'),
];
/** The part of IPv6 that is assigned for public use; excludes ::a.b.c.d. */
const globalUnicast = ipaddr.parseCIDR('2000::/3');

export interface AddressGuard {
  /** Throws `webhook_url_refused`. */
  requireAddress(address: string): void;
  /**
   * The `lookup` option of a socket: resolves the name once and returns checked addresses only, so that
   * the name cannot point elsewhere between check and connect.
   */
  lookup: LookupFunction;
}

export interface AddressGuardOptions {
  resolveName?: ResolveName;
  /** The duration of every failed lookup, whatever the reason. */
  failAfterMs?: number;
}

/** Lets webhooks reach public addresses and those in `allowed`. */
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
   * A tenant must not learn which names exist in the internal network: unknown names, refused addresses
   * and DNS timeouts fail with the same message after the same time.
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
      // Only the code: the message contains the name, which is the tenant's.
      throw refuseHost(`DNS lookup failed: ${(error as NodeJS.ErrnoException).code}`);
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

/** An IPv6 address that embeds an IPv4 address (mapped, 6to4, NAT64, Teredo) is not public. */
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

/** Resolves with every address of a host name. Rejects if there is none. */
export type ResolveName = (hostname: string) => Promise<Address[]>;

/** Timeout of the first query to a name server; the second one waits twice as long. */
const TRY_MS = 1000;
const TRIES = 2;
/** Default timeout of a whole lookup. */
export const LOOKUP_LIMIT_MS = 3000;

export interface ResolveNameOptions {
  /** `address:port` of each name server; the system's if unset. */
  servers?: string[];
  limitMs?: number;
  hostsFile?: string;
}

/**
 * Queries the name servers directly. `dns.lookup` occupies one of libuv's four threads while
 * getaddrinfo waits, so four slow names of one tenant would stop every other lookup of the process,
 * including those for Redis.
 *
 * The hosts file, read once, takes precedence. Unlike getaddrinfo, no search domain is appended.
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
  // One resolver per name: c-ares avoids a server that left a query unanswered, which must not affect
  // the names of other tenants. A new resolver also rereads the system's name servers.
  const resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
  if (servers) resolver.setServers(servers);
  const limit = setTimeout(() => resolver.cancel(), limitMs);
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  clearTimeout(limit);
  const found = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  if (found.length === 0) throw v4.status === 'rejected' ? v4.reason : new Error('no address');
  return found.map(toAddress);
}

/** The addresses of each name in a hosts file. `localhost` is always loopback (RFC 6761). */
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
