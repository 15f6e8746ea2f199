import { readFileSync, unwatchFile, watchFile } from 'node:fs';

/** Polls with stat, which also sees changes behind the symbolic links of a Kubernetes secret. */
const WATCH_MS = 1000;

export interface FollowFileOptions<T> {
  file: string;
  /** Throws an Error for a file that cannot be used. */
  parse(text: string): T;
  /** Called after each change that was applied. */
  onChange(now: T, before: T): void;
  /** Called when a changed file cannot be used; the previous value stays in force. */
  onProblem(error: unknown): void;
}

/** What a file says now. */
export interface FollowedFile<T> {
  read(): T;
  close(): void;
}

/** Throws if the file cannot be used at the start. */
export function followFile<T>(options: FollowFileOptions<T>): FollowedFile<T> {
  const { file, parse, onChange, onProblem } = options;
  let current = load();
  const listener = () => reload();
  watchFile(file, { interval: WATCH_MS }, listener);
  return { read: () => current, close: () => unwatchFile(file, listener) };

  function load(): T {
    return parse(readFileSync(file, 'utf8'));
  }

  function reload(): void {
    try {
      const before = current;
      current = load();
      onChange(current, before);
    } catch (error) {
      onProblem(error);
    }
  }
}
