import { checkAgreement } from './container-agreement.js';
import { checkObservability } from './check-observability.js';
import { lintCompose } from './lint-compose.js';
import { lintDockerfile } from './lint-dockerfile.js';
import type { Sources } from './read-sources.js';

/** All that is wrong. Files that are no valid Dockerfile or Compose file are not looked into further. */
export async function findProblems(sources: Sources): Promise<string[]> {
  const invalid = [...lintDockerfile(sources.dockerfile), ...(await lintCompose(sources.compose))];
  if (invalid.length > 0) return invalid;
  return [...checkAgreement(sources), ...checkObservability(sources)];
}
