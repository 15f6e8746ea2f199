import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

const answerWithinMs = 1000;

/** Whether a Redis on this loopback port takes commands from anyone: no password, not loading. */
export async function pingRedis(port: number): Promise<boolean> {
  return (await askRedis(port, 'PING')).startsWith('+PONG');
}

/** The process behind this loopback port, even while it is still loading; undefined if no Redis. */
export async function findRedisPid(port: number): Promise<number | undefined> {
  const pid = /^process_id:(\d+)/m.exec(await askRedis(port, 'INFO server'))?.[1];
  return pid === undefined ? undefined : Number(pid);
}

/** One inline command and the whole answer, or '' where nothing answers. QUIT ends the stream. */
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
