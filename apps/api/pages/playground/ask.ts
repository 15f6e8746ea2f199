import type { ContentPlace, FacePlace, FaceView } from '@livegate/core/browser';

/** A credential of the gateway. */
export interface Credential {
  username: string;
  password: string;
  key: string;
}

/** The development credential of the GLAIR SDK, which no gateway accepts in production. */
export const developmentCredential: Credential = {
  username: 'default-username',
  password: 'default-password',
  key: 'default-api-key',
};

/** Otherwise the browser answers a 401 with a dialog of its own. */
const credentials = 'omit';

export const endpoint = new URL('face/v1/passive-liveness', document.baseURI).href;

export interface Verdict {
  status: 'success' | 'failed';
  result: { spoof_percentage: number; status: string; quality?: Quality };
}

export interface Quality {
  codes: string[];
  face: FacePlace;
  content?: ContentPlace;
  measures: Record<string, number>;
}

export interface ApiError {
  error_code: string;
  error_message: string;
}

interface Job {
  status: string;
  result?: Verdict;
  error?: ApiError;
  links: { self: string };
}

/** One exchange with the gateway, as it is shown. */
export interface Answer {
  httpStatus: number;
  /** Those that explain the answer. */
  headers: Record<string, string>;
  body: unknown;
  verdict?: Verdict;
  error?: ApiError;
  /** By `performance.now()`, from the request to the answer. */
  totalMs: number;
}

export interface AskOptions {
  credential: Credential;
  /** Called with each state of the job; the check is then asynchronous. */
  onState?: ((state: string) => void) | undefined;
}

/** Sends one image, and resolves to the answer; rejects when the gateway cannot be reached. */
export async function ask(image: Blob, options: AskOptions): Promise<Answer> {
  const started = performance.now();
  const form = new FormData();
  form.append('image', image);
  const headers = {
    ...authOf(options.credential),
    'Livegate-Quality': 'report',
    ...(options.onState && { Prefer: 'respond-async' }),
  };
  const response = await fetch(endpoint, { method: 'POST', headers, body: form, credentials });
  const answer =
    response.status === 202 && options.onState
      ? await followJob(response, options.credential, options.onState)
      : await readAnswer(response);
  return { ...answer, totalMs: performance.now() - started };
}

export function authOf({ username, password, key }: Credential): Record<string, string> {
  return { Authorization: `Basic ${btoa(`${username}:${password}`)}`, 'x-api-key': key };
}

type Read = Omit<Answer, 'totalMs'>;

async function readAnswer(response: Response): Promise<Read> {
  const body = (await response.json()) as Verdict & ApiError;
  const read = { httpStatus: response.status, headers: pickHeaders(response), body };
  return response.ok ? { ...read, verdict: body } : { ...read, error: body };
}

/** Long polls the job until it has ended. */
async function followJob(
  accepted: Response,
  credential: Credential,
  onState: (state: string) => void,
): Promise<Read> {
  let job = (await accepted.json()) as Job;
  let response = accepted;
  for (;;) {
    onState(job.status);
    if (!['queued', 'processing'].includes(job.status)) break;
    response = await fetch(job.links.self, {
      headers: { ...authOf(credential), Prefer: 'wait=2', 'Livegate-Quality': 'report' },
      credentials,
    });
    if (!response.ok) return readAnswer(response);
    job = (await response.json()) as Job;
  }
  const read = { httpStatus: response.status, headers: pickHeaders(response), body: job };
  if (job.result) return { ...read, verdict: job.result };
  const ended = { error_code: job.status, error_message: 'The job ended without a result.' };
  return { ...read, error: job.error ?? ended };
}

function pickHeaders({ headers }: Response): Record<string, string> {
  const names = [
    'Request-Id',
    'Livegate-Model',
    'Livegate-Quality',
    'Server-Timing',
    'Retry-After',
  ];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = headers.get(name);
      return value === null ? [] : [[name, value]];
    }),
  );
}

/** What `GET /v1/models` says about the models that answer. */
export interface ModelSet {
  livegate_model: string;
  thresholds: { moderate: number; high: number };
  models: { name: string; version: string; task: string; views?: FaceView[] }[];
}

/** `undefined` while no worker is alive. */
export async function readModels(): Promise<ModelSet[] | undefined> {
  const response = await fetch(new URL('v1/models', document.baseURI));
  return response.ok
    ? ((await response.json()) as { model_sets: ModelSet[] }).model_sets
    : undefined;
}
