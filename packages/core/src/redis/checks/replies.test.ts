import { expect, it, onTestFinished } from 'vitest';
import { createLeases } from '../../domain/operation/leases.js';
import { createLog } from '../../telemetry/log.js';
import type { Redis } from '../connection/connect.js';
import { createKeys } from '../keys.js';
import { createRedisReplyInbox } from './replies.js';

it('a reply reaches its waiter before the stream is read again', async () => {
  const reply = ['a', JSON.stringify({ error: 'invalid_image' })];
  const answers = [
    [
      [null, 0],
      [null, [['stream', [['1-0', reply]]]]],
    ],
  ];
  const events: string[] = [];
  let readAgain = (): void => undefined;
  const isReadAgain = new Promise<void>((resolve) => (readAgain = resolve));
  const read = {
    xtrim: () => read,
    xread: () => read,
    exec() {
      events.push('read');
      if (answers.length > 0) return Promise.resolve(answers.shift());
      readAgain();
      return new Promise(() => undefined);
    },
  };
  const inbox = createRedisReplyInbox({
    redis: {} as Redis,
    blockingRedis: { pipeline: () => read, disconnect: () => undefined } as unknown as Redis,
    keys: createKeys('{test}'),
    gatewayId: 'gateway',
    leases: createLeases(),
    log: createLog('api', 'silent'),
  });
  onTestFinished(() => inbox.close());
  using waiter = inbox.expect('a');
  const answering = waiter.within(5000).then(() => events.push('answered'));
  await Promise.all([answering, isReadAgain]);
  expect(events).toEqual(['read', 'answered', 'read']);
});
