import { readdir } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import { checkAgreement } from './kubernetes-agreement.js';
import { checkTypes } from './check-types.js';
import { fetchKubectl } from './fetch-kubectl.js';
import { mutations } from './kubernetes-mutations.js';
import { checkPolicies } from './policies.js';
import { renderOverlay, type Manifest } from './render-overlay.js';

const OVERLAYS = 'k8s/overlays';
const overlays = await readdir(OVERLAYS);

let rendered: Map<string, Manifest[]>;

beforeAll(async () => {
  const kubectl = await fetchKubectl();
  rendered = new Map();
  for (const overlay of overlays) {
    rendered.set(overlay, await renderOverlay(kubectl, `${OVERLAYS}/${overlay}`));
  }
});

it.each(overlays)('the overlay %s has no problem', async (overlay) => {
  expect(await findProblems(rendered.get(overlay)!)).toEqual([]);
});

it.each(Object.entries(mutations))('%s is found', async (_, make) => {
  const spoilt = structuredClone(rendered.get('cpu')!);
  make(spoilt);
  expect(await findProblems(spoilt)).not.toEqual([]);
});

async function findProblems(manifests: Manifest[]): Promise<string[]> {
  return [
    ...(await checkTypes(manifests)),
    ...checkPolicies(manifests),
    ...(await checkAgreement(manifests)),
  ];
}
