import type { Emit } from './capture-events.js';
import type { FindFaces, FindPoints } from './faces/find-faces.js';
import { make } from './screen/elements.js';
import { isComputer } from './screen/phone.js';
import type { Action, Choice, Screen } from './screen/screen.js';
import type { Texts } from './screen/texts.js';
import type { Photo } from './session-client.js';

export interface TakePhotoDeps {
  screen: Screen;
  texts: Texts;
  emit: Emit;
  /** Loads the face detector at its first call. */
  faceFinder: () => Promise<FindFaces | undefined>;
  /** Loads the model for the points of a face at its first call. */
  facePoints: () => Promise<FindPoints | undefined>;
  /** The address of the session, for the person's phone. */
  address: string;
  canCancel: boolean;
  /** Resolves when the session has a photo from elsewhere, such as the phone. */
  goesOnElsewhere: (signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
}

/** A photo to send, and what the person sees meanwhile. */
export interface Taken {
  photo: Photo;
  picture: HTMLCanvasElement | HTMLImageElement;
  /** The live checks chose the frame: it needs no second look. */
  isChecked: boolean;
}

/** What the person does next: take a photo by one of the ways, or something else than a photo. */
export type Step =
  | { kind: 'camera'; deviceId?: string }
  | { kind: 'no camera'; why: keyof Texts }
  | { kind: 'phone' }
  | { kind: 'taken'; taken: Taken }
  | { kind: 'cancel' }
  | { kind: 'elsewhere' };

/** The ways without the live camera, as far as this device and session have them. */
export function otherWays({ texts, canCancel }: TakePhotoDeps): Action[] {
  return [
    { name: 'file', label: texts.choose_file, isFile: true },
    ...(isComputer() ? [{ name: 'phone', label: texts.continue_on_phone }] : []),
    ...(canCancel ? [{ name: 'cancel', label: texts.cancel }] : []),
  ];
}

/** The step for one of `otherWays`, or back to the camera. */
export async function toStep({ name, file }: Choice): Promise<Step> {
  if (file) return { kind: 'taken', taken: await readFile(file) };
  if (name === 'phone' || name === 'cancel') return { kind: name };
  return { kind: 'camera' };
}

/** As it is: its pixels and its EXIF orientation are for the gateway to read. */
async function readFile(file: File): Promise<Taken> {
  const picture = make('img', { alt: '', src: URL.createObjectURL(file) });
  // A file that the browser cannot show is refused by the gateway, with a reason.
  await picture.decode().catch(() => undefined);
  URL.revokeObjectURL(picture.src);
  const photo: Photo = { image: file, facts: { source: 'file' } };
  return { photo, picture, isChecked: false };
}
