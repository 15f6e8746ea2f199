import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';

// npm writes this inventory of node_modules last, so an interrupted install has none.
const installedLock = 'node_modules/.package-lock.json';

/** Installs what package-lock.json says, unless it is all there. */
export async function installDependencies(say) {
  if (isInstallCurrent(readPackages('package-lock.json'), readPackages(installedLock))) return;
  say('Installing dependencies (this takes about a minute, once) …');
  rmSync(installedLock, { force: true });
  const npm = spawn('npm', ['ci', '--no-audit', '--no-fund'], {
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  // Whoever interrupts us means the installation, too; the next command takes it up again.
  const interrupt = (signal) => npm.kill(signal);
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const [status] = await once(npm, 'exit');
  process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  if (status !== 0)
    throw new Error('npm ci did not finish: see above, then run this command again');
}

/**
 * Whether every package of the lock file is installed in its version. Optional ones may be
 * missing: they are binaries for other platforms.
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
