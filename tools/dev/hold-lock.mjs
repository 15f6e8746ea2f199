import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 200;

/** Runs `work` while no other process holds the lock file; a lock whose process died is ignored. */
export async function holdLock({ path, say }, work) {
  await takeLock({ path, say });
  try {
    await work();
  } finally {
    rmSync(path, { force: true });
  }
}

async function takeLock({ path, say }) {
  mkdirSync(dirname(path), { recursive: true });
  for (let told = false; !createLock(path);) {
    if (!isHolderAlive(path)) {
      rmSync(path, { force: true });
      continue;
    }
    if (!told) say(`Waiting for the process that holds ${path} …`);
    told = true;
    await sleep(pollMs);
  }
}

function createLock(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function isHolderAlive(path) {
  try {
    // Signal 0 only asks whether the process exists; EPERM means it does, as another user's.
    return process.kill(Number(readFileSync(path, 'utf8')), 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}
