import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import express, { type Request, type Response } from 'express';
import { expect, it, onTestFinished } from 'vitest';
import { createHttpServer } from './http-server.js';

setFlagsFromString('--allow-natives-syntax');
const haveSameMap = runInThisContext('(a, b) => %HaveSameMap(a, b)') as (
  a: object,
  b: object,
) => boolean;

it('all requests have one hidden class in V8, and so have all responses', async () => {
  const asked: [Request, Response][] = [];
  const app = express().get('/', (req, res) => {
    if (asked.push([req, res]) < 2) return;
    const [[req1, res1], [req2, res2]] = asked as [[Request, Response], [Request, Response]];
    const isShared = [haveSameMap(req1, req2), haveSameMap(res1, res2)];
    for (const [, each] of asked) each.json(isShared);
  });
  const server = createHttpServer(app, {}).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ask = async () => (await fetch(url)).json();
  expect(await Promise.all([ask(), ask()])).toEqual([
    [true, true],
    [true, true],
  ]);
});
