import { describe, expect, it } from 'vitest';
import type { CheckOutcome, CheckResult } from '../check.js';
import type { SpoofStatus } from '../verdict.js';
import { issueToken } from './page-tokens.js';
import {
  addSignals,
  beginPhoto,
  createSession,
  createSid,
  isLost,
  isSid,
  MAX_PHOTOS,
  type NewSession,
  requireOpen,
  type Session,
  settlePhoto,
  triesLeft,
  undoPhoto,
} from './session.js';

const now = 1_000_000;

function open(options: Partial<NewSession> = {}): Session {
  const sid = createSid();
  const defaults = { tenant: 'acme', maxTries: 3, ttlMs: 60_000, tellUser: false };
  return createSession(
    { ...defaults, tenantRatePerMinute: 0, ...options },
    { sid, url: `https://gateway.example/sessions/${sid}`, now },
  );
}

/** The session with a photo that is being checked. */
function begin(
  session: Session,
  checkId: string,
  more: { token?: string; imageMac?: string } = {},
) {
  const photo = { checkId, token: issueToken(session), imageMac: checkId, signals: [], now };
  return beginPhoto(session, { ...photo, ...more });
}

function scored(spoofProbability: number, status: SpoofStatus, codes: string[] = []): CheckOutcome {
  const timings = { decodeMs: 1, detectMs: 1, classifyMs: 1, workerMs: 1 };
  const result = {
    verdict: { kind: 'scored' as const, spoofProbability, status },
    model: '',
    timings,
    quality: { codes },
  };
  return { result } as unknown as CheckOutcome;
}

function uncounted(kind: 'no_face' | 'too_many_faces'): CheckOutcome {
  const timings = { decodeMs: 1, detectMs: 1, classifyMs: 1, workerMs: 1 };
  return { result: { verdict: { kind }, model: '', timings } };
}

/** The session after one photo for each outcome. */
function play(session: Session, ...outcomes: CheckOutcome[]): Session {
  return outcomes.reduce((latest, outcome) => {
    const id = `check-${latest.photos}`;
    return settlePhoto(begin(latest, id), { id, outcome }, now);
  }, session);
}

const low = scored(0.02, 'LOW');
const moderate = scored(0.5, 'MODERATE');
const high = scored(0.99, 'HIGH');

describe('a sid', () => {
  it('has 32 letters and digits, and is another one each time', () => {
    const sids = Array.from({ length: 100 }, createSid);
    expect(new Set(sids).size).toBe(100);
    expect(sids.every(isSid)).toBe(true);
  });

  it.each(['', 'a'.repeat(31), 'a'.repeat(33), `${'a'.repeat(31)}/`, `${'a'.repeat(32)}\n`])(
    'is not %j',
    (text) => {
      expect(isSid(text)).toBe(false);
    },
  );
});

describe('a session ends', () => {
  it('with the first LOW, whatever was before', () => {
    const session = play(open(), high, low);
    expect(session).toMatchObject({
      status: 'FINISHED',
      tries: 2,
      best: { spoofProbability: 0.02, status: 'LOW' },
      finishedAt: now,
    });
    expect(triesLeft(session)).toBe(0);
  });

  it('with its last try, and has the lowest score of all', () => {
    const session = play(open(), high, moderate, scored(0.8, 'HIGH'));
    expect(session).toMatchObject({
      status: 'FINISHED',
      best: { spoofProbability: 0.5, status: 'MODERATE' },
    });
    expect(session.hint).toBeUndefined();
  });

  it('with its first verdict if it has one try', () => {
    expect(play(open({ maxTries: 1 }), high)).toMatchObject({ status: 'FINISHED' });
  });

  it('with a verdict whose quality is not known', () => {
    const { result } = high as { result: CheckResult };
    const { quality: _, ...ofEarlierVersion } = result;
    const session = play(open({ maxTries: 1 }), { result: ofEarlierVersion });
    expect(session).toMatchObject({ status: 'FINISHED', best: { status: 'HIGH' } });
  });
});

describe('a session goes on', () => {
  it('after a MODERATE or HIGH while tries are left, with a hint', () => {
    const session = play(open(), moderate, high);
    expect(session).toMatchObject({ status: 'PENDING', tries: 2, hint: 'try_again' });
    expect(triesLeft(session)).toBe(1);
  });

  it.each<[string, CheckOutcome]>([
    ['face_not_detected', uncounted('no_face')],
    ['too_many_faces', uncounted('too_many_faces')],
    ['face_too_close', scored(0.99, 'HIGH', ['face_too_close', 'image_too_dark'])],
    ['image_too_blurry', scored(0.01, 'LOW', ['image_too_blurry'])],
    ['invalid_image', { error: 'invalid_image' }],
    ['check_failed', { error: 'internal_error' }],
    ['check_failed', { error: 'canceled' }],
  ])('with the hint %s, which costs no try', (hint, outcome) => {
    const session = play(open({ maxTries: 1 }), outcome);
    expect(session).toMatchObject({ status: 'PENDING', tries: 0, photos: 1, hint });
    expect(session.best).toBeUndefined();
  });

  it('without the hint of the photo before while a photo is checked', () => {
    expect(begin(play(open(), high), 'next').hint).toBeUndefined();
  });
});

describe('a photo is refused', () => {
  const refusal = (code: string) => expect.objectContaining({ code }) as Error;

  it('by a finished session', () => {
    expect(() => begin(play(open(), low), 'a')).toThrow(refusal('session_finished'));
  });

  it('by an expired session, from its last millisecond on', () => {
    const session = open({ ttlMs: 1000 });
    expect(() => requireOpen(session, now + 999)).not.toThrow();
    expect(() => requireOpen(session, now + 1000)).toThrow(refusal('session_expired'));
  });

  it('after as many photos without a verdict as a session may have', () => {
    const failures = Array.from({ length: MAX_PHOTOS }, () => uncounted('no_face'));
    const session = play(open(), ...failures);
    expect(session).toMatchObject({ status: 'PENDING', photos: MAX_PHOTOS });
    expect(() => begin(session, 'a')).toThrow(refusal('session_exhausted'));
  });

  it('while another one is checked', () => {
    expect(() => begin(begin(open(), 'a'), 'b')).toThrow(refusal('session_busy'));
  });

  it('with a used token, a token of another session, or none', () => {
    const session = open();
    const token = issueToken(session);
    const used = begin(session, 'a', { token });
    const settled = settlePhoto(used, { id: 'a', outcome: uncounted('no_face') }, now);
    const [nonce] = issueToken(session).split('.');
    const [, signature] = issueToken(session).split('.');
    const forged = [`${nonce}.${signature}`, issueToken(open()), `${token}x`, '', '.'];
    for (const refused of [token, `${token}.`, `${token}.again`, ...forged]) {
      expect(() => begin(settled, 'b', { token: refused })).toThrow(refusal('page_token_refused'));
    }
  });
});

describe('the end of a check', () => {
  it('counts once, however often it is noticed', () => {
    const begun = begin(open(), 'a');
    const once = settlePhoto(begun, { id: 'a', outcome: high }, now);
    expect(settlePhoto(once, { id: 'a', outcome: high }, now)).toBe(once);
    expect(once.tries).toBe(1);
  });

  it('counts for no other photo', () => {
    const next = begin(settlePhoto(begin(open(), 'a'), { id: 'a', outcome: high }, now), 'b');
    expect(settlePhoto(next, { id: 'a', outcome: low }, now)).toBe(next);
  });

  it('counts although the session has expired meanwhile', () => {
    const begun = begin(open({ ttlMs: 1000 }), 'a');
    expect(settlePhoto(begun, { id: 'a', outcome: low }, now + 5000).status).toBe('FINISHED');
  });
});

describe('a photo whose check was never queued', () => {
  it('is undone, with its token free again', () => {
    const session = open();
    const token = issueToken(session);
    const undone = undoPhoto(begin(session, 'a', { token }), 'a');
    expect(undone).toMatchObject({ photos: 0, usedTokens: [] });
    expect(begin(undone, 'b', { token }).running).toMatchObject({ checkId: 'b' });
  });

  it('undoes no other photo', () => {
    const begun = begin(open(), 'a');
    expect(undoPhoto(begun, 'b')).toBe(begun);
    const settled = settlePhoto(begun, { id: 'a', outcome: high }, now);
    expect(undoPhoto(settled, 'a')).toBe(settled);
  });

  it('leaves the tokens of earlier photos used', () => {
    const session = open();
    const token = issueToken(session);
    const first = begin(session, 'a', { token });
    const settled = settlePhoto(first, { id: 'a', outcome: high }, now);
    expect(undoPhoto(begin(settled, 'b'), 'b').usedTokens).toEqual([token]);
  });

  it('counts as lost after 15 seconds', () => {
    const begun = begin(open(), 'a');
    expect([15_000, 15_001].map((ms) => isLost(begun, now + ms))).toEqual([false, true]);
    expect(isLost(open(), now + 99_000)).toBe(false);
  });
});

it('a photo with the bytes of an earlier one of its session is a replayed frame', () => {
  const first = settlePhoto(begin(open(), 'a', { imageMac: 'm' }), { id: 'a', outcome: high }, now);
  expect(first).toMatchObject({ signals: [], imageMacs: ['m'] });
  expect(begin(first, 'b', { imageMac: 'm' }).signals).toEqual(['replayed_frame']);
});

it('a signal is listed once', () => {
  const once = addSignals(open(), ['file_upload', 'virtual_camera']);
  expect(addSignals(once, ['virtual_camera']).signals).toEqual(['file_upload', 'virtual_camera']);
});

it('a page token has a nonce of 96 bits and a signature of 132', () => {
  expect(issueToken(open())).toMatch(/^[\w-]{16}\.[\w-]{22}$/);
});
