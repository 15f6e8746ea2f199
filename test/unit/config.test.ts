import { describe, expect, it } from 'vitest';
import { readApiConfig } from '../../apps/api/src/gateway/config.js';
import {
  readWorkerConfig,
  toRolloutSettings,
  toSchedulerConfig,
  workerConfigSchema,
} from '../../apps/worker/src/config.js';

function problemsOf(read: (env: NodeJS.ProcessEnv) => object, env: NodeJS.ProcessEnv): string[] {
  try {
    read(env);
    return [];
  } catch (error) {
    return (error as Error).message.split('\n').slice(1);
  }
}

/** Matches a problem by its variable and some words of its message. */
const line = (key: string, words: string) =>
  expect.stringMatching(new RegExp(`^ {2}${key}: .*${words}`));

const telemetry = {
  OTEL_METRICS_EXPORTER: 'prometheus,statsd',
  OTEL_TRACES_EXPORTER: 'jaeger',
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http',
  OTEL_EXPORTER_PROMETHEUS_PORT: 'metrics',
};
const telemetryProblems = [
  line('OTEL_METRICS_EXPORTER', 'not "prometheus,statsd"'),
  line('OTEL_EXPORTER_PROMETHEUS_PORT', 'number'),
  line('OTEL_TRACES_EXPORTER', 'not "jaeger"'),
  line('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/protobuf'),
];

describe('an invalid configuration is refused', () => {
  it('with all its problems at once for a gateway', () => {
    const env = {
      ...telemetry,
      NODE_ENV: 'production',
      REDIS_URL: 'localhost',
      BLOB_REDIS_URL: 'redis+sentinel://a',
      PORT: '70000',
      LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT: '1000',
      LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '10.0.0.0/8,db',
    };
    expect(problemsOf(readApiConfig, env)).toEqual([
      line('REDIS_URL', 'expected redis:'),
      line('BLOB_REDIS_URL', 'master'),
      line('PORT', '65535'),
      line('LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES', '"db" is neither'),
      line('LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT', 'LIVEGATE_MAX_IMAGE_BYTES'),
      line('LIVEGATE_PUBLIC_URL', 'or LIVEGATE_TRUST_PROXY'),
      line('LIVEGATE_CREDENTIALS_FILE', 'npm run credentials'),
      ...telemetryProblems,
    ]);
  });

  it('with all its problems at once for a worker', () => {
    const env = {
      ...telemetry,
      REDIS_URL: 'redis://',
      LIVEGATE_ENGINES: 'many',
      LIVEGATE_MODERATE_FROM: '0.9',
      LIVEGATE_HIGH_FROM: '0.7',
      LIVEGATE_MODELS_DIR: '/nowhere',
      LIVEGATE_AUDIT: 'yes',
      LIVEGATE_AUDIT_KEY_FILE: '/dev/null',
    };
    expect(problemsOf(readWorkerConfig, env)).toEqual([
      line('REDIS_URL', 'expected redis:'),
      line('LIVEGATE_ENGINES', 'auto'),
      line('LIVEGATE_AUDIT', '"off"'),
      line('LIVEGATE_MODERATE_FROM', 'LIVEGATE_HIGH_FROM'),
      ...telemetryProblems,
      line('LIVEGATE_MODELS_DIR', '/nowhere/catalogue.json.*npm run models'),
      line('LIVEGATE_AUDIT_KEY_FILE', 'has 0 bytes, expected at least 32'),
    ]);
  });

  it('when the cut points are out of order, but not when they are equal', () => {
    const cutPoints = (from: string, high: string) =>
      problemsOf(readWorkerConfig, { LIVEGATE_MODERATE_FROM: from, LIVEGATE_HIGH_FROM: high });
    const problem = line('LIVEGATE_MODERATE_FROM', 'must not be above LIVEGATE_HIGH_FROM');
    expect(cutPoints('0.6', '0.5')).toContainEqual(problem);
    expect(cutPoints('0.5', '0.5')).not.toContainEqual(problem);
  });

  it('when a worker needs encrypted images and has no keys', () => {
    const env = { LIVEGATE_MODELS_DIR: '/nowhere', LIVEGATE_REQUIRE_ENCRYPTED_IMAGES: 'true' };
    const problem = line('LIVEGATE_REQUIRE_ENCRYPTED_IMAGES', 'keys of LIVEGATE_IMAGE_KEYS_FILE');
    expect(problemsOf(readWorkerConfig, env)).toContainEqual(problem);
    const withKeys = { ...env, LIVEGATE_IMAGE_KEYS_FILE: '/dev/null' };
    expect(problemsOf(readWorkerConfig, withKeys)).not.toContainEqual(problem);
  });

  it('when one image can take more memory than all uploads may', () => {
    // 3,000 bytes are 4,000 in base64; both, and 64 KiB of text around them, are in memory.
    const problemsWith = (LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT: string) =>
      problemsOf(readApiConfig, {
        LIVEGATE_MAX_IMAGE_BYTES: '3000',
        LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT,
      });
    expect(problemsWith('121688')).toEqual([]);
    expect(problemsWith('121687')).toEqual([
      line('LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT', 'can take 121688 bytes, set at least that'),
    ]);
  });

  it('when the credentials file does not exist', () => {
    const env = { LIVEGATE_CREDENTIALS_FILE: '/nowhere/credentials.json' };
    expect(problemsOf(readApiConfig, env)).toEqual([
      line('LIVEGATE_CREDENTIALS_FILE', 'ENOENT.*/nowhere/credentials.json'),
    ]);
  });

  it.each([
    ['PORT', readApiConfig],
    ['LIVEGATE_WORKER_HEALTH_PORT', readWorkerConfig],
  ] as const)('when %s is also the port that Prometheus scrapes', (key, read) => {
    const problem = line(key, '9464 .*OTEL_EXPORTER_PROMETHEUS_PORT');
    const scraped = { OTEL_METRICS_EXPORTER: 'otlp, prometheus' };
    expect(problemsOf(read, { ...scraped, [key]: '9464' })).toContainEqual(problem);
    for (const env of [{}, { ...scraped, OTEL_EXPORTER_PROMETHEUS_PORT: '9000' }]) {
      const problems = problemsOf(read, { ...env, [key]: '9464' });
      expect(problems.filter((each) => /PORT|OTEL/.test(each))).toEqual([]);
    }
  });
});

describe('the public address of the service', () => {
  it('is an http or https URL', () => {
    const { LIVEGATE_PUBLIC_URL } = readApiConfig({
      LIVEGATE_PUBLIC_URL: 'https://Faces.Example/',
    });
    expect(LIVEGATE_PUBLIC_URL).toBe('https://faces.example');
    expect(problemsOf(readApiConfig, { LIVEGATE_PUBLIC_URL: 'faces.example' })).toEqual([
      line('LIVEGATE_PUBLIC_URL', 'expected http:// or https:'),
    ]);
  });

  it.each(['loopback', '1'])(
    'is optional in production if LIVEGATE_TRUST_PROXY is "%s"',
    (LIVEGATE_TRUST_PROXY) => {
      const env = { NODE_ENV: 'production', LIVEGATE_TRUST_PROXY };
      expect(problemsOf(readApiConfig, env)).toEqual([
        expect.stringContaining('LIVEGATE_CREDENTIALS_FILE'),
      ]);
    },
  );

  it('cannot come from proxies if LIVEGATE_TRUST_PROXY is invalid', () => {
    expect(problemsOf(readApiConfig, { LIVEGATE_TRUST_PROXY: 'true' })).toEqual([
      line('LIVEGATE_TRUST_PROXY', 'expected loopback, .* or the number of proxies'),
    ]);
  });
});

describe('the settings of a worker', () => {
  const parse = (env: NodeJS.ProcessEnv) => workerConfigSchema.parse(env);
  const scheduler = (env: NodeJS.ProcessEnv) =>
    toSchedulerConfig(parse(env), { profile: 'default' });

  it('name the profiles of the rollout, and the shares of its trials', () => {
    expect(toRolloutSettings(parse({}))).toEqual({});
    const env = {
      LIVEGATE_PROFILE: 'fast',
      LIVEGATE_CANARY_PROFILE: 'next',
      LIVEGATE_SHADOW_PROFILE: 'big',
      LIVEGATE_SHADOW_SHARE: '0.5',
    };
    expect(toRolloutSettings(parse(env))).toEqual({
      profile: 'fast',
      canary: { profile: 'next', share: 0.05 },
      shadow: { profile: 'big', share: 0.5 },
    });
  });

  it('leave to the worker what is "auto"', () => {
    const { layout, lingerMs, runAhead, concurrency } = scheduler({ LIVEGATE_ENGINES: 'auto' });
    expect({ layout, lingerMs, runAhead, concurrency }).toEqual({
      layout: { measure: false },
      lingerMs: 0,
      runAhead: false,
    });
  });

  it('are used as they are given', () => {
    const env = {
      LIVEGATE_ENGINES: '4',
      LIVEGATE_INTRA_OP_THREADS: '1',
      LIVEGATE_MAX_BATCH: '8',
      LIVEGATE_MEASURE_LAYOUT: 'true',
      LIVEGATE_LINGER_MS: '0',
      LIVEGATE_CONCURRENCY: '9',
      LIVEGATE_EXECUTION_PROVIDER: 'cuda',
      LIVEGATE_CUT_POINTS: 'soft',
      LIVEGATE_MODERATE_FROM: '0.4',
      LIVEGATE_HIGH_FROM: '0.6',
      LIVEGATE_CALIBRATION_FILE: 'mine.json',
    };
    expect(scheduler(env)).toMatchObject({
      rollout: { profile: 'default' },
      layout: { engines: 4, intraOpThreads: 1, maxBatch: 8, measure: true },
      lingerMs: 0,
      runAhead: true,
      concurrency: 9,
      executionProvider: 'cuda',
      tuning: {
        calibrationFile: 'mine.json',
        cutPoints: { level: 'soft', moderate: 0.4, high: 0.6 },
      },
    });
  });

  it('make a GPU wait 3 ms for a fuller batch', () => {
    expect(scheduler({ LIVEGATE_EXECUTION_PROVIDER: 'cuda' }).lingerMs).toBe(3);
  });
});
