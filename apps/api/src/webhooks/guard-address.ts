import { isIP, type LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { callbackify } from 'node:util';
import { LivegateError } from '@livegate/core';
import ipaddr from 'ipaddr.js';
import {
  createResolveName,
  LOOKUP_LIMIT_MS,
  type Address,
  type ResolveName,
} from './resolve-name.js';

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
