import {
  type CheckJob,
  type CheckResult,
  createSession,
  createSid,
  JOB_VERSION,
  type NewSession,
  type Quality,
  type Session,
  type WorkerFacts,
} from '@livegate/core/domain';

export const exampleJob: CheckJob = {
  version: JOB_VERSION,
  tenant: 'acme',
  replyTo: 'gateway-1',
  imageBytes: 3,
};

const { replyTo: _, ...withoutCaller } = exampleJob;
/** A check whose caller does not wait. */
export const exampleAsyncJob: CheckJob = withoutCaller;

export const exampleResult: CheckResult = {
  verdict: { kind: 'scored', spoofProbability: 0.02611, status: 'LOW' },
  model: 'fr-detect/0.0.1+01234567, fr-liveness/0.0.1+89abcdef',
  timings: { decodeMs: 6.5, detectMs: 3.8, classifyMs: 22, workerMs: 33 },
};

/** Of a good picture. `exampleResult` has none, like the results of earlier versions. */
export const exampleQuality: Quality = {
  codes: [],
  face: { left: 0.3, top: 0.2, width: 0.4, height: 0.5 },
  measures: {
    inside: 0.9,
    margin: 0.8,
    facePixels: 237,
    offset: 0.03,
    lightest: 154,
    white: 0,
    blur: 0.0137,
    turn: -0.1,
    rotation: 0,
  },
};

/** The HTTP body of `exampleResult`. */
export const exampleBody = {
  status: 'success',
  result: { spoof_percentage: 0.02611, status: 'LOW' },
} as const;

/** A session of `acme` that lives for a minute from `now`. */
export function exampleSession(options: Partial<NewSession> = {}, now = Date.now()): Session {
  const sid = createSid();
  return createSession(
    {
      tenant: 'acme',
      successUrl: 'https://shop.example/done',
      maxTries: 3,
      ttlMs: 60_000,
      tellUser: false,
      tenantRatePerMinute: 0,
      ...options,
    },
    { sid, url: `http://gateway.example/sessions/${sid}`, now },
  );
}

export const exampleWorker: WorkerFacts = {
  id: 'worker-1',
  jobVersions: [JOB_VERSION],
  models: [
    { name: 'fr-detect', version: '0.0.1', sha256: '01234567', task: 'detect' },
    {
      name: 'fr-liveness',
      version: '0.0.1',
      sha256: '89abcdef',
      task: 'classify',
      views: [{ scale: 2, fill: 'reflect' }],
    },
  ],
  executionProvider: 'cpu',
  cutPoints: { moderate: 0.4, high: 0.7 },
};

/** For a scheduler without a shadow model. */
export const noShadow = { offer: () => undefined, ended: () => undefined };

/** For a fake scheduler: no image is large. */
export const noLargeImages = { megabytesOf: () => 0, maxMegabytes: 1 };
