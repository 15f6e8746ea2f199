import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { apiConfigSchema } from '../../apps/api/src/config.js';
import { workerConfigSchema } from '../../apps/worker/src/config.js';

const text = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');

/** `# KEY=default`: every key is commented out, so that the file copied as .env changes nothing. */
function readKeys(lines: string): Map<string, string> {
  const matches = lines.matchAll(/^# ?([A-Z_]+)=(.*)$/gm);
  return new Map([...matches].map(([, key = '', value = '']) => [key, value]));
}

const documented = readKeys(text);

describe('.env.example', () => {
  it('lists exactly the keys that api and worker read', () => {
    const read = [...Object.keys(apiConfigSchema.shape), ...Object.keys(workerConfigSchema.shape)];
    expect([...documented.keys()].toSorted()).toEqual([...new Set(read)].toSorted());
  });

  it('lists the keys of both under both, and the others under the one that reads them', () => {
    const [, forBoth = '', forApi = '', forWorker = ''] = text.split(/^# --- .*$/m);
    const [api, worker] = [apiConfigSchema, workerConfigSchema].map(({ shape }) =>
      Object.keys(shape),
    );
    const listed = [forBoth, forApi, forWorker].map((part) =>
      [...readKeys(part).keys()].toSorted(),
    );
    expect(listed).toEqual([
      api!.filter((key) => worker!.includes(key)).toSorted(),
      api!.filter((key) => !worker!.includes(key)).toSorted(),
      worker!.filter((key) => !api!.includes(key)).toSorted(),
    ]);
  });

  it('states the defaults that are in force', () => {
    const defaults = { ...apiConfigSchema.parse({}), ...workerConfigSchema.parse({}) };
    const stated = Object.fromEntries([...documented].filter(([, value]) => value !== ''));
    const inForce = Object.entries(defaults).map(([key, value]) => [key, String(value)]);
    expect(stated).toEqual(Object.fromEntries(inForce));
  });
});
