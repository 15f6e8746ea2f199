import { withAbort } from './abort.js';
import { make } from './screen/elements.js';
import { isComputer, makeCopyButton, showAddress } from './screen/phone.js';
import type { Choice } from './screen/screen.js';
import type { Texts } from './screen/texts.js';
import { useCamera } from './use-camera.js';
import { otherWays, type Step, type Taken, type TakePhotoDeps, toStep } from './ways.js';

/** Resolves to a photo that the person wants to send, or to what they want instead. */
export async function takePhoto(deps: TakePhotoDeps): Promise<Taken | 'cancel' | 'elsewhere'> {
  let step: Step = { kind: 'camera' };
  for (;;) {
    deps.signal.throwIfAborted();
    if (step.kind === 'camera') step = await useCamera(deps, step.deviceId);
    else if (step.kind === 'no camera') step = await offerOtherWays(deps, step.why);
    else if (step.kind === 'phone') step = await showPhoneCode(deps);
    else if (step.kind === 'taken') {
      const { taken } = step;
      if (taken.isChecked || (await isGoodEnough(deps, taken))) return taken;
      step = { kind: 'camera' };
    } else return step.kind;
  }
}

async function isGoodEnough(deps: TakePhotoDeps, { picture }: Taken): Promise<boolean> {
  const { screen, texts, emit } = deps;
  emit('livegate-progress', { phase: 'review' });
  const { name } = await screen.show({
    name: 'review',
    title: texts.review_title,
    stage: picture,
    actions: [
      { name: 'use', label: texts.use_photo, isMain: true },
      { name: 'retake', label: texts.retake },
    ],
  });
  return name === 'use';
}

/** For a person without a usable camera. */
async function offerOtherWays(deps: TakePhotoDeps, why: keyof Texts): Promise<Step> {
  const { screen, texts, address, emit } = deps;
  emit('livegate-error', { code: why, isFinal: false });
  const [file, ...others] = otherWays(deps);
  const choice = screen.show({
    name: 'no-camera',
    title: texts.no_camera_title,
    text: texts[why],
    extra: isComputer()
      ? [make('p', { className: 'note', textContent: texts.phone }), ...showAddress(address, texts)]
      : [makeCopyButton(address, texts)],
    actions: [
      { ...file!, isMain: true },
      { name: 'camera', label: texts.retry },
      ...others.filter(({ name }) => name !== 'phone'),
    ],
  });
  return orElsewhere(deps, choice);
}

async function showPhoneCode(deps: TakePhotoDeps): Promise<Step> {
  const { screen, texts, address } = deps;
  const choice = screen.show({
    name: 'phone',
    title: texts.phone_title,
    text: texts.phone,
    extra: showAddress(address, texts),
    actions: [{ name: 'camera', label: texts.use_camera }],
  });
  return orElsewhere(deps, choice);
}

/** Waits for the person here and for the session there. */
function orElsewhere(deps: TakePhotoDeps, choice: Promise<Choice>): Promise<Step> {
  return withAbort(deps.signal, (signal) => {
    const elsewhere = deps.goesOnElsewhere(signal).then((): Step => ({ kind: 'elsewhere' }));
    return Promise.race([elsewhere, choice.then(toStep)]);
  });
}
