import { byId } from '../playground/elements.js';
import type { Snapshot } from '../../src/operator/console/snapshot.js';

/** A browser does not reconnect a stream that was answered with an error, so the page does. */
const RETRY_MS = 3000;
/** The gateway sends a snapshot every two seconds. */
const STALE_MS = 8000;

/** Calls `show` with each snapshot, and says how old the latest one is. */
export function followNews(show: (snapshot: Snapshot) => void): void {
  let newsAt = 0;
  let gateway = '';
  connect();
  setInterval(tell, 1000);

  function connect(): void {
    const source = new EventSource('console/events');
    source.addEventListener('message', ({ data }) => {
      const snapshot = JSON.parse(String(data)) as Snapshot;
      newsAt = Date.now();
      ({ gateway } = snapshot);
      show(snapshot);
      tell();
    });
    source.addEventListener('error', () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
    });
  }

  function tell(): void {
    const ageMs = Date.now() - newsAt;
    if (newsAt === 0) return say('waiting', 'Connecting…');
    if (ageMs < STALE_MS) return say('live', `Live, from gateway ${gateway.slice(-6)}`);
    const seconds = Math.round(ageMs / 1000);
    say('lost', `No data for ${seconds} s: the gateway does not answer. Trying again…`);
  }
}

function say(state: string, text: string): void {
  const news = byId('news', HTMLElement);
  news.dataset['state'] = state;
  if (news.textContent !== text) news.textContent = text;
}
