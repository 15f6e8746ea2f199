import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Watches NVIDIA's accelerators with `nvidia-smi`. `stop` resolves to the mean share of time (0..1) in
 * which they ran a kernel, or `undefined` where there is none.
 */
export function watchGpu() {
  const query = ['--query-gpu=utilization.gpu', '--format=csv,noheader,nounits', '-lms', '100'];
  const child = spawn('nvidia-smi', query, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'close').catch(() => undefined);
  const shares: number[] = [];
  child.stdout.on('data', (lines: Buffer) => {
    for (const [digits] of lines.toString().matchAll(/^\d+/gm)) shares.push(Number(digits) / 100);
  });
  return {
    async stop(): Promise<number | undefined> {
      child.kill();
      await ended;
      if (shares.length === 0) return undefined;
      return shares.reduce((sum, share) => sum + share, 0) / shares.length;
    },
  };
}
