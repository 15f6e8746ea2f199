import { expect, it } from 'vitest';
import { judgeAdvisories } from '../../tools/docs/judge-advisories.js';

const url = 'https://github.com/advisories/GHSA-1';
const report = {
  vulnerabilities: { left: { via: ['right'] }, right: { via: [{ url, title: 'x' }] } },
};
const exception = { url, reason: 'not reachable', until: '2027-01-31' };

it('an advisory fails the audit without an exception, and after its last day', () => {
  expect(judgeAdvisories(report, [], '2026-11-26')).toEqual([`right: x, ${url}`]);
  expect(judgeAdvisories(report, [exception], '2027-01-31')).toEqual([]);
  expect(judgeAdvisories(report, [exception], '2027-02-01')).toEqual([`right: x, ${url}`]);
});

it('an exception fails the audit without its advisory or a reason', () => {
  const none = { vulnerabilities: {} };
  expect(judgeAdvisories(none, [exception], '2026-11-26')).toEqual([
    expect.stringMatching(/remove it/),
  ]);
  const bare = { ...exception, reason: '' };
  expect(judgeAdvisories(report, [bare], '2026-11-26')).toEqual([`${url} needs a reason`]);
});

it('an audit without an answer of the registry fails', () => {
  const refused = judgeAdvisories({ message: '405 Method Not Allowed' }, [], '2026-11-26');
  expect(refused).toEqual(['npm audit got no answer: 405 Method Not Allowed']);
});
