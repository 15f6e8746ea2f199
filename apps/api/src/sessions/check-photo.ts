import {
  addSignals,
  beginPhoto,
  type CaptureFacts,
  findSignals,
  isOwnToken,
  LivegateError,
  requireOpen,
  type Session,
  undoPhoto,
} from '@livegate/core/domain';
import type { SessionStore } from '@livegate/core/ports';
import type { Submission, SubmitCheck, SubmittedCheck } from '../checks/submit-check.js';

export interface Photo {
  /** The id of the request, which becomes the id of the check. */
  id: string;
  image: Uint8Array;
  /** The rank of its check. Throws `overloaded`. */
  takeRank: Submission['takeRank'];
  /** The page token that came with it; empty if none did. */
  token: string;
  facts: CaptureFacts;
  baseUrl: string;
}

export interface CheckPhotoDeps {
  sessions: SessionStore;
  submitCheck: SubmitCheck;
  now: () => number;
}

/**
 * Counts the photo in its session and queues its check. Of simultaneous photos, at any gateways, one is
 * queued and the others get `session_busy`; a later photo with the same token gets
 * `page_token_refused`.
 */
export type CheckPhoto = (session: Session, photo: Photo) => Promise<SubmittedCheck>;

export function createCheckPhoto({ sessions, submitCheck, now }: CheckPhotoDeps): CheckPhoto {
  return async (session, photo) => {
    requireOpen(session, now());
    await requireOwnToken(session, photo.token);
    await begin(session, photo);
    const { id, image, takeRank, baseUrl } = photo;
    const { tenant, sid } = session;
    try {
      return await submitCheck({ id, tenant, image, isAwaited: true, takeRank, baseUrl, sid });
    } catch (error) {
      await undo(sid, id);
      throw error;
    }
  };

  /** A page may send a used token twice by accident; it never sends one that it never got. */
  async function requireOwnToken(session: Session, token: string): Promise<void> {
    if (isOwnToken(session, token)) return;
    await sessions.update(session.sid, (latest) => addSignals(latest, ['no_page_token']));
    throw new LivegateError('page_token_refused');
  }

  async function begin({ sid, tenant, createdAt }: Session, photo: Photo): Promise<void> {
    const { id, image, token, facts } = photo;
    const imageMac = await sessions.hashImage(tenant, image);
    const isRepeated = await sessions.isRepeated({ tenant, mac: imageMac, sid });
    const signals = findSignals(facts, now() - createdAt);
    if (isRepeated) signals.push('repeated_image');
    const begun = await sessions
      .update(sid, (latest) =>
        beginPhoto(latest, { checkId: id, token, imageMac, signals, now: now() }),
      )
      .catch(async (error: unknown) => {
        // A change that timed out here may still have reached Redis.
        await undo(sid, id);
        throw error;
      });
    if (!begun) throw new LivegateError('not_found');
  }

  /** Best effort: if it fails, the photo counts as lost after a while. */
  async function undo(sid: string, id: string): Promise<void> {
    await sessions.update(sid, (latest) => undoPhoto(latest, id)).catch(() => undefined);
  }
}
