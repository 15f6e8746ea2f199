import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { apiConfigSchema } from '../../apps/api/src/gateway/config.js';
import { workerConfigSchema } from '../../apps/worker/src/config.js';

const text = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');

/** Lines of the form `# KEY=default`: commented out, so that a copy as .env changes nothing. */
function readKeys(part: string): Map<string, string> {
  const lines = part.matchAll(/^# ?([A-Z_]+)=(.*)$/gm);
  return new Map([...lines].map(([, key = '', value = '']) => [key, value]));
}

const documented = readKeys(text);
const [api, worker] = [apiConfigSchema, workerConfigSchema].map(({ shape }) => Object.keys(shape));

describe('.env.example', () => {
  it('lists exactly the settings of gateway and worker', () => {
    expect([...documented.keys()].toSorted()).toEqual(
      [...new Set([...api!, ...worker!])].toSorted(),
    );
  });

  it.each([
    ['api and worker', api!.filter((key) => worker!.includes(key))],
    ['api', api!.filter((key) => !worker!.includes(key))],
    ['worker', worker!.filter((key) => !api!.includes(key))],
  ])('lists under "%s" exactly the settings of that section', (section, keys) => {
    const [, part = ''] = text.split(new RegExp(`^# --- ${section}(?::.*)? ---$`, 'm'));
    const [own = ''] = part.split(/^# --- /m);
    expect([...readKeys(own).keys()].toSorted()).toEqual(keys.toSorted());
  });

  it('states the default of every setting that has one', () => {
    const defaults = { ...apiConfigSchema.parse({}), ...workerConfigSchema.parse({}) };
    const stated = Object.fromEntries([...documented].filter(([, value]) => value !== ''));
    const inForce = Object.entries(defaults).map(([key, value]) => [key, String(value)]);
    expect(stated).toEqual(Object.fromEntries(inForce));
  });
});
