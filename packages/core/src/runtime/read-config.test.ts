import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { oneSlotRule, redisConfig } from '../redis/connection/store-url.js';
import { ConfigError, integer, readConfig, sharedConfig } from './read-config.js';

const schema = z.object({ ...sharedConfig, ...redisConfig, PORT: integer(1).default(8080) });
const evenPort = z
  .object({ PORT: schema.shape.PORT })
  .refine((config) => config.PORT % 2 === 0, { path: ['PORT'], message: 'must be even' });

const read = (env: NodeJS.ProcessEnv) => readConfig(schema, env, [oneSlotRule, evenPort]);

describe('readConfig', () => {
  it('uses defaults for unset and empty variables', () => {
    const config = read({ PORT: '', REDIS_URL: ' ', LIVEGATE_HOST: undefined });
    expect(config).toMatchObject({ PORT: 8080, REDIS_URL: 'redis://127.0.0.1:6379' });
  });

  it('lists all problems at once, each with the name of its variable', () => {
    const env = {
      REDIS_URL: 'ftp://x',
      BLOB_REDIS_URL: 'redis+cluster://a/1',
      LIVEGATE_LOG_LEVEL: 'loud',
      PORT: '81',
    };
    expect(() => read(env)).toThrow(ConfigError);
    expect(() => read(env)).toThrow(
      /:\n {2}LIVEGATE_LOG_LEVEL: .*\n {2}REDIS_URL: expected.*\n {2}BLOB_REDIS_URL: .*\n {2}PORT: must be even$/,
    );
  });

  it('applies a rule only when each of its variables is valid', () => {
    expect(() => read({ PORT: 'http' })).toThrow(/:\n {2}PORT: [^\n]*number[^\n]*$/);
  });

  it('returns a frozen value', () => {
    expect(Object.isFrozen(read({}))).toBe(true);
  });

  it.each(['REDIS_URL', 'BLOB_REDIS_URL'])(
    'requires a hash tag in the key prefix when %s is a cluster',
    (key) => {
      const readWith = (prefix: string) =>
        read({ [key]: 'redis+cluster://a?addr=b', LIVEGATE_KEY_PREFIX: prefix });
      expect(() => readWith('livegate')).toThrow(/LIVEGATE_KEY_PREFIX: must have a part in braces/);
      expect(readWith('{livegate}')).toMatchObject({ LIVEGATE_KEY_PREFIX: '{livegate}' });
      const onOneServer = read({ LIVEGATE_KEY_PREFIX: 'livegate' });
      expect(onOneServer).toMatchObject({ LIVEGATE_KEY_PREFIX: 'livegate' });
    },
  );
});
