import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface ReceivedSpan {
  service: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  attributes: Record<string, unknown>;
  links: { traceId: string; spanId: string }[];
  startedAt: bigint;
  endedAt: bigint;
}

/** A collector that stores everything it gets, as OTLP in JSON over HTTP. */
export async function startOtlpReceiver() {
  const bodies: { path: string; body: string }[] = [];
  const server = createServer((req, res) => {
    void keep(req).then(() => res.writeHead(200, { 'Content-Type': 'application/json' }).end('{}'));
  });
  const keep = async (req: IncomingMessage) =>
    bodies.push({ path: req.url ?? '', body: await text(req) });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** All received bodies, unparsed. */
    raw: () => bodies.map(({ body }) => body).join('\n'),
    spans: () => bodies.filter(({ path }) => path === '/v1/traces').flatMap(readSpans),
    metricNames: () =>
      new Set(bodies.filter(({ path }) => path === '/v1/metrics').flatMap(readMetrics)),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

interface KeyValue {
  key: string;
  value: { stringValue?: string; intValue?: number; boolValue?: boolean; doubleValue?: number };
}

type JsonSpan = Omit<ReceivedSpan, 'attributes' | 'service' | 'links' | 'startedAt' | 'endedAt'> & {
  attributes: KeyValue[];
  links?: ReceivedSpan['links'];
  startTimeUnixNano: string;
  endTimeUnixNano: string;
};

interface Traces {
  resourceSpans: {
    resource: { attributes: KeyValue[] };
    scopeSpans: { spans: JsonSpan[] }[];
  }[];
}

function readSpans({ body }: { body: string }): ReceivedSpan[] {
  const { resourceSpans } = JSON.parse(body) as Traces;
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans
      .flatMap(({ spans }) => spans)
      .map(({ attributes, links, startTimeUnixNano, endTimeUnixNano, ...span }) => ({
        ...span,
        service: String(readAttributes(resource.attributes)['service.name']),
        attributes: readAttributes(attributes),
        links: (links ?? []).map(({ traceId, spanId }) => ({ traceId, spanId })),
        startedAt: BigInt(startTimeUnixNano),
        endedAt: BigInt(endTimeUnixNano),
      })),
  );
}

function readAttributes(attributes: KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

interface Metrics {
  resourceMetrics: { scopeMetrics: { metrics: { name: string }[] }[] }[];
}

function readMetrics({ body }: { body: string }): string[] {
  const { resourceMetrics } = JSON.parse(body) as Metrics;
  return resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) => metrics.map(({ name }) => name)),
  );
}
