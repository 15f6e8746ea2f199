import { diag, type DiagLogFunction, DiagLogLevel } from '@opentelemetry/api';
import { RuntimeNodeInstrumentation } from '@opentelemetry/instrumentation-runtime-node';
import { core, NodeSDK, resources } from '@opentelemetry/sdk-node';
import type { Log } from './log.js';
import type { SampleReader } from './sample-reader.js';
import { openMetricReaders } from './metric-readers.js';
import type { Signals } from './read-signals.js';

export interface TelemetryOptions {
  /** `service.name`, unless OTEL_SERVICE_NAME says otherwise. */
  service: string;
  env: NodeJS.ProcessEnv;
  /** Whether the process publishes samples of its metrics to the console, besides what is exported. */
  publishesSamples?: boolean;
  log: Log;
}

/**
 * Importing this file loads the SDK, so `startTelemetry` imports it only if a signal is exported.
 */
export async function openSdk(
  signals: Signals,
  { service, env, log, reader }: TelemetryOptions & { reader: SampleReader | undefined },
) {
  reportTo(log, env);
  const exporting = await openMetricReaders(signals.metrics, env);
  const sdk = new NodeSDK({
    resource: describeService(service),
    ...(!env['OTEL_NODE_RESOURCE_DETECTORS'] && { resourceDetectors }),
    // Without baggage, the SDK's other default: the caller's baggage may identify a person.
    ...(!env['OTEL_PROPAGATORS'] && { textMapPropagator: new core.W3CTraceContextPropagator() }),
    metricReaders: reader ? [...exporting, reader] : exporting,
    ...(signals.traces.length === 0 && { spanProcessors: [] }),
    // Logs stay on stdout, with trace ids.
    logRecordProcessors: [],
    instrumentations: signals.metrics.length > 0 ? [new RuntimeNodeInstrumentation()] : [],
  });
  // With OTEL_LOG_LEVEL, the constructor has replaced this logger by the console.
  reportTo(log, env);
  sdk.start();
  return sdk;
}

/** The SDK's defaults without the process detector, which exports the command line. */
const resourceDetectors = [
  resources.envDetector,
  resources.hostDetector,
  resources.serviceInstanceIdDetector,
];

function describeService(name: string) {
  const own = { 'service.name': name, 'service.namespace': 'livegate' };
  return resources.defaultResource().merge(resources.resourceFromAttributes(own));
}

/** Logs the SDK's own diagnostics, such as an unreachable collector. */
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
