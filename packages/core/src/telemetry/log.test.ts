import { expect, it } from 'vitest';
import { describeError } from './log.js';

it('an error of ioredis is logged without the command that failed', () => {
  const command = { name: 'hello', args: ['3', 'AUTH', 'default', 'a-password'] };
  const error = Object.assign(new Error('WRONGPASS'), { command, previousErrors: [{ command }] });
  const described = JSON.stringify(describeError(error));
  expect(described).toContain('WRONGPASS');
  expect(described).not.toContain('a-password');
});
