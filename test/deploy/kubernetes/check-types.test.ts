import { expect, test } from 'vitest';
import { checkTypes } from './check-types.js';
import type { Manifest } from './render-overlay.js';

const service = (spec: object): Manifest => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'livegate-api' },
  spec,
});
const scaled = (spec: object): Manifest => ({
  apiVersion: 'keda.sh/v1alpha1',
  kind: 'ScaledObject',
  metadata: { name: 'livegate-worker' },
  spec,
});

test('checkTypes reports misspelt keys and wrong types in built-in and custom resources', async () => {
  const rightPorts = { ports: [{ name: 'http', port: 80, targetPort: 'http' }] };
  const rightScaling = { scaleTargetRef: { name: 'livegate-worker' }, triggers: [] };
  const problems = await checkTypes([
    service(rightPorts),
    scaled(rightScaling),
    service({ ports: [{ name: 'http', port: 80, targtPort: 'http' }] }),
    service({ ports: [{ name: 'http', port: '80' }] }),
    scaled({ ...rightScaling, minReplicas: 1 }),
  ]);
  expect(problems).toEqual([
    expect.stringMatching(/^Service livegate-api: .*targtPort/),
    expect.stringMatching(/^Service livegate-api: Type 'string' is not assignable/),
    expect.stringMatching(/^ScaledObject livegate-worker: .*minReplicas/),
  ]);
});
