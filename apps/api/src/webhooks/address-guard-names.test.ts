import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWebhookSecret } from '@livegate/core/domain';
import ipaddr from 'ipaddr.js';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createAddressGuard, createResolveName, parseAddressRanges } from './address-guard.js';
import { createSendMessage } from './send-message.js';

const HEADER_BYTES = 12;
const TYPE_A = 1;
const TYPE_AAAA = 28;

/**
 * A name server that has one address for each of some names, or none if it is empty, and never
 * answers for other names.
 */
async function startNameServer(known: Record<string, string>) {
  const asked = new Set<string>();
  const watchers: { count: number; resolve: () => void }[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const { name, type, end } = readQuestion(query);
    asked.add(name);
    for (const { count, resolve } of watchers) if (asked.size >= count) resolve();
    const ip = known[name];
    if (ip !== undefined) socket.send(answer(query.subarray(0, end), type, ip), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  return {
    servers: [`127.0.0.1:${socket.address().port}`],
    asked,
    /** Resolves once this many names have been queried. */
    untilAsked: (count: number) =>
      new Promise<void>((resolve) => void watchers.push({ count, resolve })),
  };
}

function readQuestion(query: Buffer) {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** One record, or none for a question of another type. */
function answer(question: Buffer, type: number, ip: string): Buffer {
  const head = Buffer.from(question);
  const address = ip === '' ? [] : ipaddr.parse(ip).toByteArray();
  const typeOfAddress = address.length === 4 ? TYPE_A : TYPE_AAAA;
  const count = address.length > 0 && type === typeOfAddress ? 1 : 0;
  head.writeUInt16BE(0x8180, 2);
  for (const [field, value] of [1, count, 0, 0].entries()) head.writeUInt16BE(value, 4 + 2 * field);
  const record = [
    0xc0,
    HEADER_BYTES,
    0,
    typeOfAddress,
    0,
    1,
    0,
    0,
    0,
    60,
    0,
    address.length,
    ...address,
  ];
  return Buffer.concat([head, Buffer.from(count === 1 ? record : [])]);
}

async function writeHosts(content: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-hosts-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'hosts');
  await writeFile(file, content);
  return file;
}

describe('a host name', () => {
  it('resolves to the addresses that the name server returns', async () => {
    const { servers } = await startNameServer({ 'receiver.example': '192.0.2.7' });
    const resolveName = createResolveName({ servers });
    expect(await resolveName('Receiver.example.')).toEqual([{ address: '192.0.2.7', family: 4 }]);
  });

  it('resolves to its IPv6 address if it has no other', async () => {
    const { servers } = await startNameServer({ 'six.example': '2001:db8::7' });
    const resolveName = createResolveName({ servers });
    expect(await resolveName('six.example')).toEqual([{ address: '2001:db8::7', family: 6 }]);
  });

  it('without an address fails with the code of the name server', async () => {
    const { servers } = await startNameServer({ 'none.example': '' });
    const resolveName = createResolveName({ servers });
    await expect(resolveName('none.example')).rejects.toMatchObject({ code: 'ENODATA' });
  });

  it('that is not answered for fails after the limit', async () => {
    const { servers } = await startNameServer({});
    const resolveName = createResolveName({ servers, limitMs: 20 });
    await expect(resolveName('slow.example')).rejects.toMatchObject({ code: 'ECANCELLED' });
  });

  it('in the hosts file resolves without a query to a name server', async () => {
    const { servers, asked } = await startNameServer({});
    const hostsFile = await writeHosts(
      '# inner\n10.1.2.3 inner Inner.test # a comment\n\n \t::1\tinner\r\nno-address inner\n',
    );
    const resolveName = createResolveName({ servers, hostsFile });
    const [v4, v6] = [
      { address: '10.1.2.3', family: 4 },
      { address: '::1', family: 6 },
    ];
    expect(await resolveName('inner')).toEqual([v4, v6]);
    expect(await resolveName('inner.test')).toEqual([v4]);
    expect(asked.size).toBe(0);
  });

  it('"localhost" has the address in the hosts file, if there is one', async () => {
    const resolveName = createResolveName({ hostsFile: await writeHosts('127.0.0.5 localhost') });
    expect(await resolveName('localhost')).toEqual([{ address: '127.0.0.5', family: 4 }]);
  });

  it('"localhost" resolves to loopback without a hosts file', async () => {
    const resolveName = createResolveName({ hostsFile: '/none' });
    const addresses = (await resolveName('localhost')).map(({ address }) => address);
    expect(addresses).toEqual(['127.0.0.1', '::1']);
  });
});

describe('names that no name server answers for', () => {
  const MANY = 16;

  it('delay neither messages to other receivers nor other lookups of the process', async () => {
    const nameServer = await startNameServer({ 'fast.example': '127.0.0.1' });
    const receiver = createServer((_req, res) => res.end()).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    onTestFinished(() => void receiver.close());
    const { port } = receiver.address() as AddressInfo;
    const resolveName = createResolveName({ servers: nameServer.servers, limitMs: 500 });
    const allowed = parseAddressRanges('127.0.0.1');
    const guard = createAddressGuard(allowed, { resolveName, failAfterMs: 500 });
    const send = createSendMessage({
      urlRules: { httpsOnly: false, guard },
      limitMs: 10_000,
      now: Date.now,
      log: pino({ level: 'silent' }),
    });
    const attempt = (host: string) =>
      send({
        id: 'msg_1',
        url: `http://${host}:${port}/`,
        payload: '{}',
        secrets: [createWebhookSecret().secret],
      });
    let ended = 0;
    const slow = Array.from({ length: MANY }, (_, n) =>
      attempt(`slow-${n}.example`).finally(() => (ended += 1)),
    );
    // All at the same time: libuv's four threads would query only four names.
    await nameServer.untilAsked(MANY);
    expect(await attempt('fast.example')).toMatchObject({ statusCode: 200 });
    // The lookup that a Redis connection uses.
    expect(await lookup('localhost')).toBeDefined();
    expect(ended).toBe(0);
    const refused = { error: expect.stringMatching(/public addresses only/) };
    for (const result of await Promise.all(slow)) expect(result).toMatchObject(refused);
  });
});
