// Loaded into a process before its own code: the process is of the next release, which queues checks
// of the next job version and reads both.
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

// The thread of the hooks loads this file as well.
if (isMainThread) register(import.meta.url);

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (!url.includes('/dist/bundle/')) return loaded;
  const source = String(loaded.source)
    .replace(/\bJOB_VERSION = (\d+);/, (_, version) => `JOB_VERSION = ${Number(version) + 1};`)
    .replace(
      /\bREADABLE_JOB_VERSIONS = \[(\d+)/,
      (all, version) => `${all}, ${Number(version) + 1}`,
    );
  return { ...loaded, source };
}
