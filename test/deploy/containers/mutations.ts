import type { Sources } from './find-problems.js';

const HEALTHCHECK = `HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \\
  CMD node probe.mjs "http://127.0.0.1:$PORT/livez"`;

/** Mistakes that the checks must report: a test makes each in a copy of the files. */
export const mutations: Record<string, [file: keyof Sources, from: string, to: string]> = {
  'an unknown instruction': ['dockerfile', 'EXPOSE 8080', 'EXPOSES 8080'],
  'an unknown flag': ['dockerfile', '--start-period=60s', '--start-perod=60s'],
  'a base image without a version': ['dockerfile', 'node:24.21.0-trixie-slim', 'node:latest'],
  'a base image without a digest': ['dockerfile', '@sha256:8ec5', '-8ec5'],
  'a root user': ['dockerfile', 'USER 10001:10001', 'USER 0:0'],
  'a missing health check': ['dockerfile', HEALTHCHECK, 'HEALTHCHECK NONE'],
  'a download by ADD': ['dockerfile', 'COPY models models', 'ADD https://example.com/m models'],
  'a shell before node': [
    'dockerfile',
    'CMD ["node", "apps/api/dist/bundle/main.js"]',
    'CMD node main.js',
  ],
  'an unknown setting in the image': ['dockerfile', ' PORT=8080', ' LIVEGATE_PORT=8080'],
  'a user that differs from k8s': ['dockerfile', 'USER 10001:10001', 'USER 10002:10002'],
  'a misspelt Compose key': ['compose', 'read_only: true', 'read_onyl: true'],
  'a writable service': ['compose', 'read_only: true', 'read_only: false'],
  'a published Redis port': [
    'compose',
    "volumes: ['redis:/data']",
    "ports: ['127.0.0.1:6379:6379']",
  ],
  'a port published on all interfaces': ['compose', "'127.0.0.1:3000:3000'", "'3000:3000'"],
  'an unknown setting in Compose': ['compose', 'LIVEGATE_MODELS_DIR', 'LIVEGATE_MODEL_DIR'],
  'a missing public URL and no trusted proxy': [
    'compose',
    'LIVEGATE_TRUST_PROXY: ${LIVEGATE_TRUST_PROXY:-uniquelocal}',
    "LIVEGATE_TRUST_PROXY: ''",
  ],
  'a shorter grace period than in k8s': [
    'compose',
    'stop_grace_period: 30s',
    'stop_grace_period: 10s',
  ],
  'a Redis version that differs from k8s': ['compose', 'redis:8.2.3-alpine', 'redis:8.2.4-alpine'],
  'a Redis without a digest': ['compose', '@sha256:08ad', '-08ad'],
  'images in the Redis of the queue': ['compose', '//redis-images:6379', '//redis:6379'],
  'a probe of another port': ['compose', ':9465/readyz', ':9464/readyz'],
  'a scrape of an unknown service': ['prometheus', 'names: [api]', 'names: [gateway]'],
  'a missing rule file': ['prometheus', 'alerts.yml', 'alarms.yml'],
  'traces to an unknown service': ['collector', 'jaeger:4317', 'tempo:4317'],
  'traces to a port without a receiver': ['telemetry', ':4318', ':4319'],
  'a data source of an unknown service': ['dataSources', '//prometheus:', '//metrics:'],
  'dashboards that are not mounted': ['dashboards', '/etc/livegate/', '/etc/grafana/'],
};
