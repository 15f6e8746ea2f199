import { createSecondsHistogram, getTracer } from '@livegate/core/telemetry';
import {
  context,
  type Context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { Request, RequestHandler, Response } from 'express';
import { isOurFault, isProbe } from '../http/log-requests.js';

/**
 * Records a span and the duration of each request. The span continues the caller's trace if there is a
 * `traceparent`, and is active in all later middlewares.
 *
 * It contains the route, not the path or the query, which contain ids and data of the caller.
 */
export function observeRequests(): RequestHandler {
  const duration = createSecondsHistogram('http.server.request.duration', {
    description: 'Duration of HTTP server requests.',
  });

  return (req, res, next) => {
    const { receivedAt } = res.locals;
    const parent = propagation.extract(ROOT_CONTEXT, req.headers);
    const span = isProbe(req) ? undefined : startSpan(req, parent);
    res.once('close', () => {
      const facts = describe(req, res);
      duration.record((performance.now() - receivedAt) / 1000, facts);
      if (span) endSpan(span, res, facts);
    });
    if (!span) return next();
    res.locals.span = span;
    context.with(trace.setSpan(parent, span), next);
  };
}

function startSpan(req: Request, parent: Context): Span {
  const attributes = { 'http.request.method': methodOf(req), 'url.scheme': schemeOf(req) };
  return getTracer().startSpan(methodOf(req), { kind: SpanKind.SERVER, attributes }, parent);
}

/** Attributes with few values each: the metric has a time series for every combination. */
function describe(req: Request, res: Response) {
  const route = routeOf(req);
  const isAnswered = res.writableFinished;
  return {
    'http.request.method': methodOf(req),
    'url.scheme': schemeOf(req),
    ...(route !== undefined && { 'http.route': route }),
    ...(isAnswered && { 'http.response.status_code': res.statusCode }),
    ...(isAnswered && isOurFault(res) && { 'error.type': outcomeOf(res) }),
    outcome: isAnswered ? outcomeOf(res) : 'aborted',
  };
}

function endSpan(span: Span, { locals }: Response, facts: ReturnType<typeof describe>): void {
  const route = facts['http.route'];
  if (route !== undefined) span.updateName(`${facts['http.request.method']} ${route}`);
  // A trace names the check, unlike a metric: like a log, it must not contain the verdict.
  const outcome = locals.verdict === undefined ? facts.outcome : 'verdict';
  span.setAttributes({ ...facts, outcome, 'livegate.request.id': locals.requestId });
  if (facts['error.type'] !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/** A template such as `/v1/jobs/:id`; `undefined` if no route, or one with several paths, matched. */
function routeOf({ baseUrl, route }: Request): string | undefined {
  const { path } = (route ?? {}) as { path?: unknown };
  return typeof path === 'string' ? baseUrl + path : undefined;
}

function outcomeOf({ locals, statusCode }: Response): string {
  return locals.verdict ?? locals.outcome ?? (statusCode < 400 ? 'ok' : String(statusCode));
}

/** Not `req.protocol`: a trusted proxy may forward anything that its caller sent. */
function schemeOf({ secure }: Request): string {
  return secure ? 'https' : 'http';
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);

function methodOf({ method }: Request): string {
  return methods.has(method) ? method : '_OTHER';
}
