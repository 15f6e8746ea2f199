import { readdir } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkAgreement } from './agree-with-code.js';
import { checkTypes } from './check-types.js';
import { mutations } from './mutations.js';
import { checkPolicies } from './policies.js';
import { findKubectl, renderOverlay, type Manifest } from './render-overlay.js';

const OVERLAYS = 'k8s/overlays';
const overlays = await readdir(OVERLAYS);
const kubectl = await findKubectl();

describe.skipIf(!kubectl)('the manifests rendered by kubectl', () => {
  const rendered = new Map<string, Manifest[]>();

  beforeAll(async () => {
    for (const overlay of overlays) {
      rendered.set(overlay, await renderOverlay(kubectl!, `${OVERLAYS}/${overlay}`));
    }
  });

  it.each(overlays)('have no problem in the overlay %s', async (overlay) => {
    expect(await findProblems(rendered.get(overlay)!)).toEqual([]);
  });

  it.each(Object.entries(mutations))('have a reported problem with %s', async (_, make) => {
    const spoilt = structuredClone(rendered.get('cpu')!);
    make(spoilt);
    expect(await findProblems(spoilt)).not.toEqual([]);
  });
});

async function findProblems(manifests: Manifest[]): Promise<string[]> {
  return [
    ...(await checkTypes(manifests)),
    ...checkPolicies(manifests),
    ...(await checkAgreement(manifests)),
  ];
}
