import { once } from 'node:events';
import { createServer as createHttp, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createLeases } from '@livegate/core/domain';
import { startGateway } from '@livegate/testing/gateway/gateway';
import { silentLog } from '@livegate/testing/redis/sandbox';
import type { Request, Response } from 'express';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { developmentCredential } from '../../apps/api/src/credentials/credential-book.js';
import { createConsoleRoutes } from '../../apps/api/src/operator/console/console-routes.js';
import type { Snapshot } from '../../apps/api/src/operator/console/snapshot.js';
import {
  createSnapshotStreams,
  MAX_STREAMS,
  PUSH_MS,
} from '../../apps/api/src/operator/console/stream-snapshots.js';

const basic = (user: string) => ({ Authorization: `Basic ${btoa(user)}` });
const operator = basic('default-username:default-password');
const pollOptions = { timeout: 10_000, interval: 5 };

afterEach(() => void vi.useRealTimers());

/** A gateway whose console shows `{ n: … }`, the number of the reading. */
async function openGateway(tenantOnly = false) {
  // Only the timer of the pushes; sockets need the others.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const leases = createLeases();
  const access = { isAllowed: true };
  let n = 0;
  const reader = { read: async () => ({ n: ++n }) as unknown as Snapshot };
  const streams = createSnapshotStreams({
    reader,
    leases,
    isAllowed: () => access.isAllowed,
    log: silentLog,
  });
  onTestFinished(streams.close);
  const permissions = tenantOnly ? (['passive-liveness'] as const) : (['queue-board'] as const);
  const gateway = await startGateway({
    console: createConsoleRoutes({ reader, openStream: streams.open }),
    credentials: [{ ...developmentCredential, permissions: [...permissions] }],
  });
  return { url: `${gateway.url}/console`, leases, access, streams };
}

/** Opens a stream; `next` resolves to the data of its next event. */
async function openStream(url: string) {
  const aborting = new AbortController();
  onTestFinished(() => aborting.abort());
  const response = await fetch(`${url}/events`, { headers: operator, signal: aborting.signal });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let buffered = '';
  async function next(): Promise<unknown> {
    for (;;) {
      const event = /data: (.*)\n\n/.exec(buffered);
      if (event) {
        buffered = buffered.slice(event.index + event[0].length);
        return JSON.parse(event[1]!);
      }
      const { value, done } = await reader.read();
      if (done) return 'ended';
      buffered += value;
    }
  }
  return { response, next, hangUp: () => aborting.abort() };
}

describe('the console', () => {
  it('is a page that may not use the camera', async () => {
    const { url } = await openGateway();
    const { headers, status } = await fetch(url, { headers: operator });
    expect({ status, policy: headers.get('permissions-policy') }).toEqual({
      status: 200,
      policy: 'camera=()',
    });
  });

  it.each(['/snapshot', '/events'])('asks for an operator: %s', async (path) => {
    const { url } = await openGateway();
    const refused = await fetch(url + path);
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toMatch(/^Basic/);
    const wrong = await fetch(url + path, { headers: basic('default-username:wrong') });
    expect(wrong.status).toBe(401);
  });

  it.each(['/snapshot', '/events'])('refuses a tenant: %s', async (path) => {
    const { url } = await openGateway(true);
    expect((await fetch(url + path, { headers: operator })).status).toBe(403);
  });

  it('is not read by other sites, and not cached', async () => {
    const { url } = await openGateway();
    const headers = { ...operator, 'sec-fetch-site': 'cross-site' };
    expect((await fetch(`${url}/events`, { headers })).status).toBe(403);
    const { headers: got } = await fetch(`${url}/snapshot`, { headers: operator });
    expect(got.get('cache-control')).toBe('no-store');
  });

  it.each([
    ['POST', '/snapshot'],
    ['POST', '/events'],
    ['HEAD', '/events'],
  ])('refuses %s %s', async (method, path) => {
    const { url } = await openGateway();
    expect((await fetch(url + path, { method, headers: operator })).status).toBe(405);
  });
});

describe('the stream of snapshots', () => {
  it('sends one at once and one more at every push', async () => {
    const { url } = await openGateway();
    const stream = await openStream(url);
    expect(stream.response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(await stream.next()).toEqual({ n: 1 });
    vi.advanceTimersByTime(PUSH_MS);
    expect(await stream.next()).toEqual({ n: 2 });
  });

  it('reads one snapshot for all streams, and none without a stream', async () => {
    const { url, leases } = await openGateway();
    const streams = [await openStream(url), await openStream(url)];
    for (const stream of streams) await stream.next();
    vi.advanceTimersByTime(PUSH_MS);
    expect(await Promise.all(streams.map(({ next }) => next()))).toEqual([{ n: 3 }, { n: 3 }]);
    for (const stream of streams) stream.hangUp();
    await expect.poll(() => leases.held().console_stream, pollOptions).toBe(0);
    vi.advanceTimersByTime(5 * PUSH_MS);
    expect(vi.getTimerCount()).toBe(0);
    expect(await (await openStream(url)).next()).toEqual({ n: 4 });
  });

  it('releases its lease when the reader hangs up', async () => {
    const { url, leases } = await openGateway();
    const stream = await openStream(url);
    expect(leases.held().console_stream).toBe(1);
    stream.hangUp();
    await expect.poll(() => leases.held().console_stream, pollOptions).toBe(0);
  });

  it('refuses more streams than a gateway may have, and takes one again when one ends', async () => {
    const { url, leases } = await openGateway();
    const streams = [];
    for (let n = 0; n < MAX_STREAMS; n += 1) streams.push(await openStream(url));
    const refused = await fetch(`${url}/events`, { headers: operator });
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error_code: 'overloaded' });
    streams[0]!.hangUp();
    await expect.poll(() => leases.held().console_stream, pollOptions).toBe(MAX_STREAMS - 1);
    expect((await openStream(url)).response.status).toBe(200);
  });

  it('ends when the gateway stops, and a later one is refused', async () => {
    const { url, streams, leases } = await openGateway();
    const stream = await openStream(url);
    await stream.next();
    streams.close();
    expect(await stream.next()).toBe('ended');
    await expect.poll(() => leases.held().console_stream, pollOptions).toBe(0);
    expect((await fetch(`${url}/events`, { headers: operator })).status).toBe(503);
  });

  it('ends when the credential is withdrawn', async () => {
    const { url, access } = await openGateway();
    const stream = await openStream(url);
    await stream.next();
    access.isAllowed = false;
    vi.advanceTimersByTime(PUSH_MS);
    expect(await stream.next()).toBe('ended');
  });
});

/** Streams snapshots of a megabyte to a client that reads nothing. */
async function openSlowReader() {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  const snapshot = { text: 'a'.repeat(1_000_000) } as unknown as Snapshot;
  let reads = 0;
  const reader = {
    async read() {
      reads += 1;
      return snapshot;
    },
  };
  const leases = createLeases();
  const streams = createSnapshotStreams({ reader, leases, isAllowed: () => true, log: silentLog });
  let response: ServerResponse | undefined;
  const server = createHttp((req, res) => {
    response = res;
    const set = (headers: Record<string, string>) => {
      for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
    };
    void streams.open(req as Request, Object.assign(res, { set }) as unknown as Response, () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  await expect.poll(() => reads, pollOptions).toBe(1);
  return {
    leases,
    buffered: () => response!.writableLength,
    async push() {
      const before = reads;
      vi.advanceTimersByTime(PUSH_MS);
      await vi.waitUntil(() => reads > before || leases.held().console_stream === 0, pollOptions);
    },
  };
}

describe('a reader that takes nothing', () => {
  it('costs the memory of one snapshot, however many are pushed', async () => {
    const slow = await openSlowReader();
    for (let n = 0; n < 10; n += 1) await slow.push();
    expect(slow.buffered()).toBeGreaterThan(0);
    expect(slow.buffered()).toBeLessThan(1_100_000);
  });

  it('is disconnected after half a minute', async () => {
    const slow = await openSlowReader();
    for (let n = 0; n < 17; n += 1) await slow.push();
    await expect.poll(() => slow.leases.held().console_stream, pollOptions).toBe(0);
  });
});
