import { diag, type DiagLogFunction, DiagLogLevel } from '@opentelemetry/api';
import { RuntimeNodeInstrumentation } from '@opentelemetry/instrumentation-runtime-node';
import { core, NodeSDK, resources } from '@opentelemetry/sdk-node';
import type { Log } from './log.js';
import { openMetricReaders } from './metric-readers.js';
import type { Signals } from './read-signals.js';

export interface TelemetryOptions {
  /** `service.name`, unless OTEL_SERVICE_NAME says otherwise. */
  service: string;
  env: NodeJS.ProcessEnv;
  log: Log;
}

/** Loading this file loads the SDK: `startTelemetry` does so, if it is wanted. */
export async function openSdk(signals: Signals, { service, env, log }: TelemetryOptions) {
  reportTo(log, env);
  const sdk = new NodeSDK({
    resource: describeService(service),
    ...(!env['OTEL_NODE_RESOURCE_DETECTORS'] && { resourceDetectors }),
    // Not baggage, the SDK's other default: it is the caller's, and may say who a person is.
    ...(!env['OTEL_PROPAGATORS'] && { textMapPropagator: new core.W3CTraceContextPropagator() }),
    metricReaders: await openMetricReaders(signals.metrics, env),
    ...(signals.traces.length === 0 && { spanProcessors: [] }),
    // Logs stay on stdout, where they carry the ids of their traces.
    logRecordProcessors: [],
    instrumentations: signals.metrics.length > 0 ? [new RuntimeNodeInstrumentation()] : [],
  });
  // The constructor has put the console in its place if OTEL_LOG_LEVEL is set.
  reportTo(log, env);
  sdk.start();
  return sdk;
}

/** Not the process detector, which is among the SDK's defaults: a command line is nobody's business. */
const resourceDetectors = [
  resources.envDetector,
  resources.hostDetector,
  resources.serviceInstanceIdDetector,
];

function describeService(name: string) {
  const own = { 'service.name': name, 'service.namespace': 'livegate' };
  return resources.defaultResource().merge(resources.resourceFromAttributes(own));
}

/** The SDK's own troubles, such as a collector that is away, as lines of our log. */
function reportTo(log: Log, env: NodeJS.ProcessEnv): void {
  const at =
    (level: 'error' | 'warn' | 'info' | 'debug' | 'trace'): DiagLogFunction =>
    (message, ...details) =>
      log[level]({ details: details.map(String) }, `telemetry: ${message}`);
  const logger = {
    error: at('warn'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    verbose: at('trace'),
  };
  const logLevel = core.diagLogLevelFromString(env['OTEL_LOG_LEVEL']) ?? DiagLogLevel.WARN;
  diag.setLogger(logger, { logLevel, suppressOverrideMessage: true });
}
