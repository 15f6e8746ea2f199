import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';

// npm writes this file last, so an interrupted installation has none.
const installedLock = 'node_modules/.package-lock.json';

/** Installs the packages of package-lock.json, unless all are installed. */
export async function installDependencies(say) {
  if (isInstallCurrent(readPackages('package-lock.json'), readPackages(installedLock))) return;
  say('Installing dependencies (this takes about a minute, once) …');
  rmSync(installedLock, { force: true });
  const npm = spawn('npm', ['ci', '--no-audit', '--no-fund'], {
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  // An interrupt also stops the installation; the next command repeats it.
  const interrupt = (signal) => npm.kill(signal);
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const [status] = await once(npm, 'exit');
  process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  if (status !== 0)
    throw new Error('npm ci failed: correct the errors above, then run this command again');
}

/**
 * True if every package of the lock file is installed in its version. Optional packages, which are
 * binaries for other platforms, may be missing.
 */
export function isInstallCurrent(wanted, installed) {
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '' || (optional && !installed[path])) return true;
    return installed[path] !== undefined && installed[path].version === version;
  });
}

function readPackages(lockPath) {
  try {
    return JSON.parse(readFileSync(lockPath, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
}
