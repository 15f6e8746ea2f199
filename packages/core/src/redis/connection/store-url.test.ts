import { describe, expect, it } from 'vitest';
import { hasHashTag, parseStoreUrl } from './store-url.js';

describe('parseStoreUrl', () => {
  it('reads host and port of a single server, and leaves the rest of the URL to ioredis', () => {
    expect(parseStoreUrl('rediss://livegate:p%40ss@redis.example:6380/2?family=6')).toEqual({
      kind: 'server',
      hosts: [{ host: 'redis.example', port: 6380 }],
    });
  });

  it('reads the nodes of a cluster', () => {
    const url = 'redis+cluster://:p%40ss@10.0.0.1:7000?addr=10.0.0.2:7001&addr=[2001:db8::3]';
    expect(parseStoreUrl(url)).toEqual({
      kind: 'cluster',
      hosts: [
        { host: '10.0.0.1', port: 7000 },
        { host: '10.0.0.2', port: 7001 },
        { host: '2001:db8::3', port: 6379 },
      ],
      tls: false,
      password: 'p@ss',
      database: 0,
      master: '',
    });
  });

  it('reads sentinels, the name of their master, and both credentials', () => {
    const query = 'master=main&addr=s2&sentinel_username=watcher&sentinel_password=a%26b';
    expect(parseStoreUrl(`rediss+sentinel://livegate:pw@s1:26380?${query}`)).toEqual({
      kind: 'sentinel',
      hosts: [
        { host: 's1', port: 26_380 },
        { host: 's2', port: 26_379 },
      ],
      tls: true,
      username: 'livegate',
      password: 'pw',
      database: 0,
      master: 'main',
      sentinelUsername: 'watcher',
      sentinelPassword: 'a&b',
    });
  });

  it('reads the number of a database behind sentinels', () => {
    expect(parseStoreUrl('redis+sentinel://s1/2?master=main')).toMatchObject({ database: 2 });
  });

  it.each([
    ['ftp://host', /expected redis:/],
    ['redis+cluster:', /expected redis:/],
    ['host:6379', /expected redis:/],
    ['redis+cluster://host?adr=host2', /no parameter of a cluster is called adr/],
    ['redis+cluster://host?addr=user:pw@host2', /an addr is HOST or HOST:PORT/],
    ['redis+cluster://host?addr=', /an addr is HOST or HOST:PORT/],
    ['redis+cluster://host/1', /only database 0/],
    ['redis+sentinel://host/name?master=main', /number of a database/],
    ['redis+sentinel://host', /need \?master=NAME/],
  ])('explains why it refuses %s', (url, problem) => {
    expect(() => parseStoreUrl(url)).toThrow(problem);
  });

  it('never quotes the password in an error', () => {
    const url = 'redis+cluster://user:secret@host?adr=x';
    expect(() => parseStoreUrl(url)).toThrow(/^(?!.*secret)/);
  });
});

describe('hasHashTag', () => {
  it.each(['{livegate}', 'a{b}c', '{a}{}'])('%s keeps all keys in one slot', (prefix) => {
    expect(hasHashTag(prefix)).toBe(true);
  });

  it.each(['livegate', '{}', '{}{a}', '{a', 'a}'])('%s does not', (prefix) => {
    expect(hasHashTag(prefix)).toBe(false);
  });
});
