import { byId } from '../elements.js';
import type { Snapshot } from '../../src/operator/console/snapshot.js';

/** A browser does not reconnect a stream that was answered with an error, so the page does. */
const RETRY_MS = 3000;
/** The gateway sends a snapshot every two seconds. */
const STALE_MS = 8000;

/** Calls `show` with each snapshot, and says how old the latest one is. */
export function followSnapshots(show: (snapshot: Snapshot) => void): void {
  let latestAt = 0;
  let gateway = '';
  connect();
  setInterval(showAge, 1000);

  function connect(): void {
    const source = new EventSource('console/events');
    source.addEventListener('message', ({ data }) => {
      const snapshot = JSON.parse(String(data)) as Snapshot;
      latestAt = Date.now();
      ({ gateway } = snapshot);
      show(snapshot);
      showAge();
    });
    source.addEventListener('error', () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
    });
  }

  function showAge(): void {
    const ageMs = Date.now() - latestAt;
    if (latestAt === 0) return say('waiting', 'Connecting…');
    if (ageMs < STALE_MS) return say('live', `Live, from gateway ${gateway.slice(-6)}`);
    const seconds = Math.round(ageMs / 1000);
    say('lost', `No data for ${seconds} s: the gateway does not answer. Trying again…`);
  }
}

function say(state: string, text: string): void {
  const shown = byId('connection', HTMLElement);
  shown.dataset['state'] = state;
  if (shown.textContent !== text) shown.textContent = text;
}
