import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError, integer, readConfig, requireOneSlot, sharedConfig } from './read-config.js';

const schema = z.object({ ...sharedConfig, PORT: integer(1).default(8080) });

describe('readConfig', () => {
  it('fills in defaults, also for empty variables', () => {
    const config = readConfig(schema, { PORT: '', REDIS_URL: '' });
    expect(config).toMatchObject({ PORT: 8080, REDIS_URL: 'redis://127.0.0.1:6379' });
  });

  it('lists every problem at once', () => {
    const read = () => readConfig(schema, { PORT: 'http', REDIS_URL: 'ftp://x' });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(/PORT/);
    expect(read).toThrow(/REDIS_URL/);
  });

  it('gives a value that cannot be changed', () => {
    expect(Object.isFrozen(readConfig(schema, {}))).toBe(true);
  });

  it.each(['REDIS_URL', 'BLOB_REDIS_URL'])(
    'wants keys in one slot where %s is a cluster',
    (key) => {
      const strict = schema.superRefine(requireOneSlot);
      const read = (prefix: string) =>
        readConfig(strict, { [key]: 'redis+cluster://a?addr=b', LIVEGATE_KEY_PREFIX: prefix });
      expect(() => read('livegate')).toThrow(/LIVEGATE_KEY_PREFIX: must have a part in braces/);
      expect(read('{livegate}')).toMatchObject({ LIVEGATE_KEY_PREFIX: '{livegate}' });
    },
  );
});
