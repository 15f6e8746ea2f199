import { errorCode } from './error-code.js';

export function isProcessAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0); // signal 0 only asks
  } catch (error) {
    return errorCode(error) === 'EPERM'; // it lives, as another user's
  }
}
