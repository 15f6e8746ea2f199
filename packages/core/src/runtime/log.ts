import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';

export type Log = Logger;

/** JSON lines, one per request and per job; readable text when a person watches at a terminal. */
export function createLog(name: 'api' | 'worker', level: string): Log {
  const options = { name, level, base: { pid: process.pid } };
  if (!process.stdout.isTTY) return pino(options);
  return pino(options, pretty({ ignore: 'pid', translateTime: 'HH:MM:ss.l', sync: true }));
}
