import { type Lane, leaseKinds, type Leases, totalQueuedMs } from '@livegate/core/domain';
import type { ReadBacklog, RedisState } from '@livegate/core/redis';
import { getMeter } from '@livegate/core/telemetry';
import type { Admission } from '../admission/admission.js';
import type { UploadPermits } from '../http/upload/upload-permits.js';

export interface ObserveGatewayDeps {
  /** The check queue. */
  queue: { readBacklog: ReadBacklog };
  /** The webhook queue: announcements and deliveries. */
  webhooks: { readBacklog: ReadBacklog };
  admission: Pick<Admission, 'view' | 'findProblem'>;
  stateReaders: StateReader[];
  uploads: Pick<UploadPermits, 'bytesInFlight' | 'maxBytesInFlight'>;
  leases: Leases;
}

/** Reads the state of a Redis, which is named by its use. */
export interface StateReader {
  name: 'queue' | 'images';
  read(): Promise<RedisState>;
}

/** Registers gauges that are read only when metrics are collected. */
export function observeGateway(deps: ObserveGatewayDeps): void {
  observeBacklog(deps.queue.readBacklog, { name: 'livegate.queue', unit: '{check}' });
  observeBacklog(deps.webhooks.readBacklog, { name: 'livegate.webhook.queue', unit: '{job}' });
  observeAdmission(deps.admission);
  observeWork(deps.admission);
  observeRedis(deps.stateReaders);
  observeUploads(deps.uploads);
  observeLeases(deps.leases);
}

/** All gateways report the same queue: aggregate with max, not sum. */
function observeBacklog(readBacklog: ReadBacklog, { name, unit }: { name: string; unit: string }) {
  const meter = getMeter();
  const depth = meter.createObservableGauge(`${name}.depth`, {
    description: 'Unfinished jobs in the queue, by state.',
    unit,
  });
  const age = meter.createObservableGauge(`${name}.oldest.age`, {
    description: 'How long ago the oldest job of a state was first queued.',
    unit: 's',
  });
  meter.addBatchObservableCallback(
    async (observe) => {
      // While Redis is down the series has a gap; `livegate.ready` is what alerts.
      for (const part of await readBacklog().catch(() => [])) {
        observe.observe(depth, part.depth, { state: part.state });
        observe.observe(age, part.oldestAgeMs / 1000, { state: part.state });
      }
    },
    [depth, age],
  );
}

function observeAdmission(admission: ObserveGatewayDeps['admission']): void {
  const meter = getMeter();
  meter
    .createObservableGauge('livegate.ready', {
      description:
        '1 while this gateway admits checks: Redis answers, and a live worker reads its checks.',
    })
    .addCallback((observe) => observe.observe(admission.findProblem() ? 0 : 1));
  meter
    .createObservableGauge('livegate.worker.count', {
      description: 'Live workers, as this gateway sees them.',
      unit: '{worker}',
    })
    .addCallback((observe) => observe.observe(admission.view()?.workers.length ?? 0));
}

const lanes: Lane[] = ['awaited', 'async'];

/** All gateways report the same values. */
function observeWork(admission: ObserveGatewayDeps['admission']): void {
  getMeter()
    .createObservableGauge('livegate.queue.work', {
      description: 'How long all workers together need for the queued checks.',
      unit: 's',
    })
    .addCallback((observe) => {
      const view = admission.view();
      if (!view) return;
      for (const lane of lanes) observe.observe(totalQueuedMs(view.flows, lane) / 1000, { lane });
    });
}

/** All gateways report the same values, except for the time that an answer took. */
function observeRedis(readers: StateReader[]): void {
  const meter = getMeter();
  const used = meter.createObservableGauge('livegate.redis.memory.used', {
    description: 'Memory that a Redis uses; it refuses writes at its limit.',
    unit: 'By',
  });
  const limit = meter.createObservableGauge('livegate.redis.memory.limit', {
    description: 'maxmemory of a Redis; 0 means no limit.',
    unit: 'By',
  });
  const persistence = meter.createObservableGauge('livegate.redis.persistence.ok', {
    description: '1 while a Redis can write to its disk; otherwise it refuses to change any key.',
  });
  const answerTime = meter.createObservableGauge('livegate.redis.answer.time', {
    description: 'How long a Redis took to answer one command of this gateway.',
    unit: 's',
  });
  meter.addBatchObservableCallback(
    async (observe) => {
      const observeOne = async ({ name, read }: StateReader) => {
        const { usedBytes, limitBytes, isPersisting, answerMs } = await read();
        observe.observe(used, usedBytes, { redis: name });
        observe.observe(limit, limitBytes, { redis: name });
        observe.observe(persistence, isPersisting ? 1 : 0, { redis: name });
        observe.observe(answerTime, answerMs / 1000, { redis: name });
      };
      await Promise.allSettled(readers.map(observeOne));
    },
    [used, limit, persistence, answerTime],
  );
}

function observeUploads(uploads: ObserveGatewayDeps['uploads']): void {
  const meter = getMeter();
  meter
    .createObservableGauge('livegate.upload.in_flight', {
      description: 'Memory reserved for images on their way from callers to Redis.',
      unit: 'By',
    })
    .addCallback((observe) => observe.observe(uploads.bytesInFlight));
  meter
    .createObservableGauge('livegate.upload.limit', {
      description: 'The most memory for uploads in flight: LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT.',
      unit: 'By',
    })
    .addCallback((observe) => observe.observe(uploads.maxBytesInFlight));
}

function observeLeases(leases: Leases): void {
  getMeter()
    .createObservableGauge('livegate.lease.held', {
      description: 'Leases that requests and deliveries hold. 0 of each kind without traffic.',
      unit: '{lease}',
    })
    .addCallback((observe) => {
      const held = leases.held();
      for (const kind of leaseKinds) observe.observe(held[kind], { kind });
    });
}
