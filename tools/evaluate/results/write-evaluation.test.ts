import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openResultFolder } from './write-evaluation.js';

test('data with the same last part have folders of their own, and each keeps its folder', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'evaluations-'));
  onTestFinished(() => rm(parent, { recursive: true }));
  const paths = ['/data/first/faces', '/data/second/faces', '/data/third/faces.csv'];
  const open = async () => {
    const folders: string[] = [];
    for (const path of paths) folders.push(await openResultFolder(parent, path));
    return folders;
  };
  const folders = ['faces', 'faces-2', 'faces-3'].map((name) => join(parent, name));
  expect(await open()).toEqual(folders);
  expect(await open()).toEqual(folders);
});
