import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

const answerWithinMs = 1000;

/** True if a Redis on this loopback port accepts commands: it needs no password and is not loading. */
export async function pingRedis(port: number): Promise<boolean> {
  return (await askRedis(port, 'PING')).startsWith('+PONG');
}

/** The process id of the Redis on this loopback port, also while it loads; undefined without one. */
export async function findRedisPid(port: number): Promise<number | undefined> {
  const pid = /^process_id:(\d+)/m.exec(await askRedis(port, 'INFO server'))?.[1];
  return pid === undefined ? undefined : Number(pid);
}

/** Sends one inline command; returns the whole answer, or '' without one. QUIT ends the stream. */
async function askRedis(port: number, command: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.setTimeout(answerWithinMs, () => socket.destroy());
  socket.end(`${command}\r\nQUIT\r\n`);
  try {
    return await text(socket);
  } catch {
    return '';
  }
}
