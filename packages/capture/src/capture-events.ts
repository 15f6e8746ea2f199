/**
 * What the component tells the page that hosts it, each as `detail` of a CustomEvent. The events bubble
 * out of shadow trees.
 */
export interface CaptureEvents {
  /** The phase that begins; `share` is the part of the photo that is sent, 0..1. */
  'livegate-progress': {
    phase: 'camera' | 'review' | 'uploading' | 'checking' | 'waiting' | 'offline';
    share?: number;
  };
  /** A hint that the person sees: live ones, and those of the gateway after a photo. */
  'livegate-hint': { code: string; text: string };
  /**
   * The session is finished. The component goes to `redirect` unless the host calls
   * `preventDefault()`; null for a session without a `success_url`. `verdict` is null unless the session
   * has `tell_user`. Read the result on your server.
   */
  'livegate-result': { redirect: string | null; verdict: 'LOW' | 'MODERATE' | 'HIGH' | null };
  /** The person goes back, to the `cancel_url`, unless the host calls `preventDefault()`. */
  'livegate-cancel': { redirect: string | null };
  /**
   * `error_code` of the gateway, the reason why there is no camera, or `failed` when the gateway cannot
   * be reached. After a final one the session takes no more photos.
   */
  'livegate-error': { code: string; isFinal: boolean };
}

/** False if the host called `preventDefault()`. */
export type Emit = <Name extends keyof CaptureEvents>(
  name: Name,
  detail: CaptureEvents[Name],
) => boolean;
