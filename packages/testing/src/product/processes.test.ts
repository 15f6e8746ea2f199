import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { startProgram } from './processes.js';

/** Starts a shell that ends before a process of its own logs a line. */
function startWithLateLine() {
  const script = `(while kill -0 $$; do :; done 2>/dev/null; echo '{"msg":"late"}') & exit 3`;
  return startProgram({ command: ['/bin/sh', '-c', script], cwd: '.', env: {} });
}

describe('a program that ends before its last line arrives', () => {
  it('has a complete log once it is stopped', async () => {
    const program = startWithLateLine();
    await once(program.child, 'exit');
    expect(await program.stop()).toBe(3);
    expect(program.log).toEqual([{ msg: 'late' }]);
  });

  it('is found to have logged that line', async () => {
    expect(await startWithLateLine().logged('late')).toEqual({ msg: 'late' });
  });

  it('rejects the wait for a line that it has not logged', async () => {
    await expect(startWithLateLine().logged('never')).rejects.toThrow(
      'ended with 3, its last line: {"msg":"late"}',
    );
  });
});
