import { findFreePort } from '../dev/ports.js';
import { stopServices, untilReady } from '../dev/processes.js';
import type { Bench } from './bench.js';
import { startWatched } from './product.js';

/** The design most people write first, as a process of its own: see naive-server.ts. */
export async function startNaiveServer({ env }: Bench) {
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const program = 'tools/dist/bench/naive-server.js';
  const service = startWatched([program], { ...env, PORT: `${port}` });
  await untilReady(`${url}/readyz`, 60_000);
  return { url, stop: () => stopServices([service], 5000) };
}
