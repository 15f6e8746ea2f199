import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, posix, relative } from 'node:path';
import { promisify } from 'node:util';
import dockerignore from '@balena/dockerignore';
import type { Step } from './parse-dockerfile.js';

const run = promisify(execFile);

/** A folder that stands for the root of a file system, and where relative paths in it begin. */
export interface Place {
  root: string;
  workdir: string;
  /** Whether a builder sees this path; all of them, if it is not given. */
  isVisible?: (path: string) => boolean;
}

/** What a builder is sent of a folder. */
export async function readContext(root: string): Promise<Place> {
  const isVisible = dockerignore
    .default()
    .add(await readFile(join(root, '.dockerignore'), 'utf8'))
    .createFilter();
  return { root, workdir: '/', isVisible: (path) => isVisible(relative(root, path)) };
}

/** One COPY: a file as or into the last of the paths, of a folder what is in it. */
export async function copyFiles(step: Step, from: Place, to: Place): Promise<void> {
  const { isVisible } = from;
  const target = resolveIn(to, step.args.at(-1)!);
  for (const argument of step.args.slice(0, -1)) {
    const source = resolveIn(from, argument);
    if (isVisible?.(source) === false) throw new Error(`.dockerignore hides ${argument}`);
    const isIntoFolder = target.endsWith('/') && (await stat(source)).isFile();
    const path = isIntoFolder ? join(target, basename(source)) : target;
    await mkdir(dirname(path), { recursive: true });
    if (isVisible) await cp(source, path, { recursive: true, filter: isVisible });
    else await linkFiles(source, path);
  }
  const owner = step.flags['chown'];
  // Only root may give files away.
  if (owner && process.getuid?.() === 0) await run('chown', ['-R', owner, target]);
}

/** Far faster than a copy of node_modules, and as good: no step changes a file that it did not make. */
export async function linkFiles(source: string, path: string): Promise<void> {
  await run('cp', ['--archive', '--link', '--no-target-directory', source, path]);
}

function resolveIn({ root, workdir }: Place, path: string): string {
  const slash = path.endsWith('/') ? '/' : '';
  return join(root, posix.resolve(workdir, path), slash);
}
