// npm run k8s:check: renders every overlay, and holds it against types, policies and the code.
// bootstrap.mjs has installed, built, and changed to the repository's root.
import { readdir } from 'node:fs/promises';
import { checkAgreement } from './k8s-check/agree-with-code.js';
import { checkTypes } from './k8s-check/check-types.js';
import { fetchKubectl } from './k8s-check/fetch-kubectl.js';
import { mutations } from './k8s-check/mutations.js';
import { checkPolicies } from './k8s-check/policies.js';
import { renderOverlay, type Manifest } from './k8s-check/render-overlay.js';

const OVERLAYS = 'k8s/overlays';

process.exitCode = await check();

/** 1 when a manifest is wrong, or when a mistake made on purpose is not found. */
async function check(): Promise<number> {
  const kubectl = await fetchKubectl();
  const rendered = new Map<string, Manifest[]>();
  for (const overlay of await readdir(OVERLAYS)) {
    rendered.set(overlay, await renderOverlay(kubectl, `${OVERLAYS}/${overlay}`));
  }
  let wrong = 0;
  for (const [overlay, manifests] of rendered) {
    const problems = await findProblems(manifests);
    wrong += problems.length;
    console.log(`${overlay}: ${manifests.length} manifests, ${problems.length} problems`);
    for (const problem of problems) console.log(`  ${problem}`);
  }
  for (const [mistake, make] of Object.entries(mutations)) {
    const copy = structuredClone(rendered.get('cpu')!);
    make(copy);
    const [first] = await findProblems(copy);
    if (!first) wrong++;
    console.log(`on purpose, ${mistake}: ${first ? `found (${first})` : 'NOT FOUND'}`);
  }
  return wrong > 0 ? 1 : 0;
}

async function findProblems(manifests: Manifest[]): Promise<string[]> {
  return [
    ...(await checkTypes(manifests)),
    ...checkPolicies(manifests),
    ...(await checkAgreement(manifests)),
  ];
}
