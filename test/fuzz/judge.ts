import { uuidV7 } from '@livegate/testing/gateway/error-body';
import type { FuzzCase } from './cases/requests.js';
import { type Exchanged, type WireAnswer, valueOf } from './wire.js';

/** Everything that is wrong with what came back; empty if the product kept its promises. */
export function findFaults(fuzzCase: FuzzCase, { answers, rest, end }: Exchanged): string[] {
  return [
    ...(end === 'hung' ? ['no answer and no end of the connection'] : []),
    ...(fuzzCase.isWhole && answers.length === 0 ? ['a complete request got no answer'] : []),
    ...(rest.length > 0 && !fuzzCase.isHead ? [`bytes that are not an answer: ${show(rest)}`] : []),
    ...answers.flatMap((answer) => findAnswerFaults(fuzzCase, answer)),
  ];
}

function findAnswerFaults(fuzzCase: FuzzCase, answer: WireAnswer): string[] {
  const requestId = valueOf(answer, 'request-id') ?? '';
  const body = fuzzCase.isHead ? undefined : parse(answer);
  const isPage = fuzzCase.isPage === true && answer.status < 400;
  const code = (body as { error_code?: string } | undefined)?.error_code;
  const mayTimeOut = fuzzCase.mayTimeOut && code === 'timeout';
  const faults = [
    ...(answer.status >= 500 && !mayTimeOut ? [`a fault of ours: ${answer.status} ${code}`] : []),
    ...(uuidV7.test(requestId) ? [] : [`the Request-Id is ${JSON.stringify(requestId)}`]),
    ...(countOf(answer, 'request-id') > 1 ? ['several Request-Ids'] : []),
    ...findEchoFaults(fuzzCase, answer),
  ];
  if (fuzzCase.isHead || isPage || answer.status === 304) return faults;
  const type = valueOf(answer, 'content-type') ?? '';
  if (!/^application\/json\b/.test(type)) faults.push(`the content type is ${type}`);
  if (typeof body !== 'object' || body === null)
    return [...faults, `no JSON: ${show(answer.body)}`];
  return [...faults, ...findBodyFaults(answer, body as Record<string, unknown>)];
}

function findBodyFaults(answer: WireAnswer, body: Record<string, unknown>): string[] {
  const { error_code: code, request_id: id, http_status: status, result } = body;
  if (answer.status < 400) return findScoreFaults(result);
  return [
    ...(typeof code === 'string' ? [] : ['an error without a code']),
    ...(id === valueOf(answer, 'request-id') ? [] : ['request_id is not the Request-Id']),
    ...(status === answer.status ? [] : [`http_status is ${String(status)}`]),
  ];
}

/** A score is a number from 0 to 1, whatever the pixels are. */
function findScoreFaults(result: unknown): string[] {
  const score = (result as { spoof_percentage?: unknown } | undefined)?.spoof_percentage;
  if (score === undefined) return [];
  const isScore = typeof score === 'number' && score >= 0 && score <= 1;
  return isScore ? [] : [`the score is ${JSON.stringify(score)}`];
}

/** The caller's own id comes back byte by byte, or not at all. */
function findEchoFaults({ callersId }: FuzzCase, answer: WireAnswer): string[] {
  const echo = valueOf(answer, 'x-request-id');
  if (echo === undefined || echo === callersId) return [];
  return [`x-request-id ${JSON.stringify(callersId)} came back as ${JSON.stringify(echo)}`];
}

function countOf({ headers }: WireAnswer, name: string): number {
  return headers.filter(([each]) => each === name).length;
}

function parse({ body }: WireAnswer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    return undefined;
  }
}

/** The beginning, in a form that a terminal can show. */
export function show(bytes: Buffer, most = 400): string {
  const text = JSON.stringify(bytes.subarray(0, most).toString('latin1'));
  return bytes.length > most ? `${text} … (${bytes.length} bytes)` : text;
}
