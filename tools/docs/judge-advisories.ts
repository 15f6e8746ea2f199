/** Part of the answer of `npm audit --json`. */
export interface AdvisoryReport {
  vulnerabilities?: Record<string, { via: (string | { url: string; title: string })[] }>;
  message?: string;
}

/** An advisory that is accepted until a day, with the reason. */
export interface AdvisoryException {
  /** The URL of the advisory. */
  url: string;
  reason: string;
  /** The last day, such as 2027-01-31. */
  until: string;
}

/** Lines about every advisory without a valid exception, and every exception that is not needed. */
export function judgeAdvisories(
  report: AdvisoryReport,
  known: AdvisoryException[],
  today: string,
): string[] {
  const { vulnerabilities } = report;
  if (!vulnerabilities) return [`npm audit got no answer: ${report.message ?? 'unknown'}`];
  const advisories = new Map(
    Object.entries(vulnerabilities).flatMap(([name, { via }]) =>
      via.flatMap((cause) =>
        typeof cause === 'string' ? [] : [[cause.url, `${name}: ${cause.title}`] as const],
      ),
    ),
  );
  const valid = new Set(known.filter(({ until }) => until >= today).map(({ url }) => url));
  return [
    ...[...advisories].filter(([url]) => !valid.has(url)).map(([url, text]) => `${text}, ${url}`),
    ...known
      .filter(({ url }) => !advisories.has(url))
      .map(({ url }) => `the exception for ${url} is not needed: remove it`),
    ...known.filter(({ reason }) => !reason).map(({ url }) => `${url} needs a reason`),
  ];
}
