import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { apiConfigSchema } from '../../apps/api/src/config.js';
import { workerConfigSchema } from '../../apps/worker/src/config.js';

/** `# KEY=default`: every key is commented out, so that the file copied as .env changes nothing. */
const documented = new Map(
  readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')
    .split('\n')
    .map((line) => /^# ?([A-Z_]+)=(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, key = '', value = '']) => [key, value]),
);

describe('.env.example', () => {
  it('lists exactly the keys that api and worker read', () => {
    const read = [...Object.keys(apiConfigSchema.shape), ...Object.keys(workerConfigSchema.shape)];
    expect([...documented.keys()].toSorted()).toEqual([...new Set(read)].toSorted());
  });

  it('states the defaults that are in force', () => {
    const defaults = { ...apiConfigSchema.parse({}), ...workerConfigSchema.parse({}) };
    const stated = Object.fromEntries([...documented].filter(([, value]) => value !== ''));
    const inForce = Object.entries(defaults).map(([key, value]) => [key, String(value)]);
    expect(stated).toEqual(Object.fromEntries(inForce));
  });
});
