import { correction, generate } from 'lean-qr';
import { make } from './elements.js';
import type { Texts } from './texts.js';

/** A QR code of the address of the session, and the address to copy. */
export function showAddress(address: string, texts: Texts): Node[] {
  const canvas = make('canvas', { className: 'qr' });
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', texts.qr_label);
  const black = [0, 0, 0, 255] as const;
  const white = [255, 255, 255, 255] as const;
  generate(address, { minCorrectionLevel: correction.M }).toCanvas(canvas, {
    on: black,
    off: white,
    pad: 4,
  });
  return [canvas, makeCopyButton(address, texts)];
}

/** A browser inside another app often has no camera, and no address bar to copy from. */
export function makeCopyButton(address: string, texts: Texts): HTMLButtonElement {
  const button = make('button', { type: 'button', textContent: texts.copy_link });
  button.addEventListener('click', () => {
    navigator.clipboard.writeText(address).then(
      () => (button.textContent = texts.link_copied),
      // Without the permission to copy, the person can copy it by hand.
      () => button.replaceWith(make('code', { className: 'address', textContent: address })),
    );
  });
  return button;
}

/** A mouse: the QR code of a phone's own page would be of no use to it. */
export function isComputer(): boolean {
  return matchMedia('(pointer: fine)').matches && navigator.maxTouchPoints === 0;
}
