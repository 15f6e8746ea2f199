import { expect, it } from 'vitest';
import { describeError } from './log.js';

it('the log describes an ioredis error without the failed command', () => {
  const command = { name: 'hello', args: ['3', 'AUTH', 'default', 'a-password'] };
  const error = Object.assign(new Error('WRONGPASS'), { command, previousErrors: [{ command }] });
  const described = JSON.stringify(describeError(error));
  expect(described).toContain('WRONGPASS');
  expect(described).not.toContain('a-password');
});
