import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What this process may use of the machine; tests narrow it. */
export interface Machine {
  /** Where programs are looked for, as in PATH. */
  searchPath: string;
  isRoot: boolean;
}

export function describeMachine(): Machine {
  return { searchPath: process.env['PATH'] ?? '', isRoot: process.getuid?.() === 0 };
}

/** Absolute path of the first of these programs that is installed. */
export function findProgram(names: string[], { searchPath }: Machine): string | undefined {
  const directories = searchPath.split(delimiter).filter((directory) => directory !== '');
  return names
    .flatMap((name) => directories.map((directory) => join(directory, name)))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
