import { trace } from '@opentelemetry/api';
import { type Logger, pino, stdSerializers } from 'pino';
import pretty from 'pino-pretty';
import { describeTrace } from './traces.js';

/** The logger of all components: pino's. */
export type Log = Logger;

/**
 * Logs JSON lines, or readable text on a terminal. A line that is logged within an active span has
 * its trace and span ids.
 */
export function createLog(name: 'api' | 'worker', level: string): Log {
  const options = {
    name,
    level,
    base: { pid: process.pid },
    serializers: { err: describeError },
    mixin: () => describeTrace(trace.getActiveSpan()?.spanContext()),
  };
  if (!process.stdout.isTTY) return pino(options);
  return pino(options, pretty(prettyOptions));
}

/** Serializes an error without the failed command that ioredis adds: it may be AUTH or an image. */
export function describeError(error: Error): object {
  const { command: _, previousErrors: __, ...described } = stdSerializers.err(error);
  return described;
}

const prettyOptions = {
  ignore: 'pid',
  translateTime: 'HH:MM:ss.l',
  singleLine: true,
  sync: true,
};
