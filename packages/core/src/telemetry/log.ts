import { trace } from '@opentelemetry/api';
import { type Logger, pino, stdSerializers } from 'pino';
import pretty from 'pino-pretty';
import { describeTrace } from './traces.js';

/** pino's logger, under the name it has here. */
export type Log = Logger;

/**
 * JSON lines, one per request and per job; readable text when a person watches at a terminal. A line
 * that is written on behalf of something traced carries the ids of its trace.
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
  return pino(options, pretty(forPeople));
}

/** How errors are logged. ioredis attaches the command that failed, which may be AUTH or an image. */
export function describeError(error: Error): object {
  const { command: _, previousErrors: __, ...described } = stdSerializers.err(error);
  return described;
}

const forPeople = {
  ignore: 'pid',
  translateTime: 'HH:MM:ss.l',
  singleLine: true,
  sync: true,
};
