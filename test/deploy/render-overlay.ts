import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';

/** As much of a rendered manifest as the checks look at; `checkTypes` knows the rest. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  // oxlint-disable-next-line typescript/no-explicit-any -- each kind has a shape of its own
  spec?: any;
  data?: Record<string, string>;
}

/** What `kubectl apply -k` would send. Throws what kustomize says when it cannot. */
export async function renderOverlay(kubectl: string, folder: string): Promise<Manifest[]> {
  const { stdout } = await promisify(execFile)(kubectl, ['kustomize', folder]);
  return parseAllDocuments(stdout).map((document) => document.toJS() as Manifest);
}
