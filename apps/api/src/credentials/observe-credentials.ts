import { createCount, getMeter, type Log } from '@livegate/core/telemetry';

/** A credential that expires within this time is reported. */
const EXPIRING_MS = 14 * 24 * 60 * 60 * 1000;

/** What is shown of a credential. */
export interface CredentialFacts {
  username: string;
  not_after?: string | undefined;
}

/** The names of the credentials that a reload of the file has changed. */
export interface CredentialChanges {
  added: string[];
  removed: string[];
  changed: string[];
}

export interface ObserveCredentialsOptions {
  file: string | undefined;
  /** The current credentials. */
  list(): CredentialFacts[];
  log: Log;
}

/** The audit of the credentials: what changed, and which ones expire. Names only, no secrets. */
export function observeCredentials({ file, list, log }: ObserveCredentialsOptions) {
  const count = createCount('livegate.credential.changes', {
    description: 'Credentials that a reload of their file added, removed or changed.',
    unit: '{credential}',
    cases: ['added', 'removed', 'changed'].map((change) => ({ change })),
  });
  getMeter()
    .createObservableGauge('livegate.credentials', {
      description: 'Credentials of the file, by state; `expiring` ones expire within 14 days.',
      unit: '{credential}',
    })
    .addCallback((observe) => {
      const { expired, expiring } = sort(list());
      observe.observe(list().length - expired.length - expiring.length, { state: 'valid' });
      observe.observe(expiring.length, { state: 'expiring' });
      observe.observe(expired.length, { state: 'expired' });
    });

  return { changed, warn };

  function changed(changes: CredentialChanges): void {
    for (const change of ['added', 'removed', 'changed'] as const) {
      if (changes[change].length > 0) count({ change }, changes[change].length);
    }
    log.info({ file, ...changes, credentials: list().length }, 'credentials reloaded');
    warn();
  }

  function warn(): void {
    const { expired, expiring } = sort(list());
    if (expired.length + expiring.length === 0) return;
    log.warn({ file, expired, expiring }, 'credentials expire');
  }
}

/** The names of the credentials that have expired, and of those that expire soon. */
function sort(credentials: CredentialFacts[]): { expired: string[]; expiring: string[] } {
  const endsBefore = (time: number) =>
    credentials
      .filter(({ not_after }) => not_after !== undefined && Date.parse(not_after) <= time)
      .map(({ username }) => username);
  const expired = endsBefore(Date.now());
  const expiring = endsBefore(Date.now() + EXPIRING_MS).filter((name) => !expired.includes(name));
  return { expired, expiring };
}
