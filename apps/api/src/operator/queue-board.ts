import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { BullQueue } from '@livegate/core';
import type { Router } from 'express';
import { createBoardServer } from './board-server.js';
import { concealJobs } from './conceal-jobs.js';

export interface QueueBoardOptions {
  queues: BullQueue[];
  /** Where callers reach this service, when that is not the request's own host. */
  publicUrl: string | undefined;
  /** Whether Redis is: the board would wait for it without a limit. */
  isReachable: () => boolean;
}

/**
 * bull-board, for operators: what is in both queues, without what is in it about people. It asks Redis
 * only when somebody looks. Loading this file loads bull-board: `main` does so, if it is wanted.
 */
export function openQueueBoard({ queues, ...options }: QueueBoardOptions): Router {
  const server = createBoardServer(options);
  createBullBoard({
    queues: queues.map((queue) => concealJobs(new BullMQAdapter(queue, { readOnlyMode: true }))),
    serverAdapter: server.adapter,
    options: { uiConfig },
  });
  return server.router;
}

/** No link leads away from this service. */
const uiConfig = {
  boardTitle: 'Livegate queues',
  hideDocsLink: true,
  pollingInterval: { showSetting: true },
};
