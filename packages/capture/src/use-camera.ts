import { untilAborted, withAbort } from './abort.js';
import { type Camera, CameraError, openCamera } from './camera/open-camera.js';
import { type CameraWatch, type Snapshot, toJpeg, watchCamera } from './camera/watch-camera.js';
import { make } from './screen/elements.js';
import { hintText } from './screen/texts.js';
import { otherWays, type Step, type Taken, type TakePhotoDeps, toStep } from './ways.js';

/** Opens the camera and waits for its best frame, the button, or another way. */
export async function useCamera(deps: TakePhotoDeps, deviceId?: string): Promise<Step> {
  const { screen, texts } = deps;
  const otherWay = screen.show({
    name: 'allow-camera',
    title: texts.title,
    text: texts.allow_camera,
    extra: [make('p', { className: 'note', textContent: texts.privacy })],
    actions: otherWays(deps),
  });
  const opening = openCamera(screen.video, deviceId).then(
    (camera) => ({ camera }),
    (error: unknown) => ({ error }),
  );
  // A browser may never answer, for instance while its question is open.
  const first = await Promise.race([opening, otherWay]);
  if ('error' in first) {
    if (first.error instanceof CameraError) return { kind: 'no camera', why: first.error.failure };
    throw first.error;
  }
  if (!('camera' in first)) {
    void opening.then((late) => 'camera' in late && late.camera.stop());
    return toStep(first);
  }
  const { camera } = first;
  try {
    return await withAbort(deps.signal, (signal) => waitForPhoto(deps, camera, signal));
  } finally {
    camera.stop();
    screen.video.srcObject = null;
  }
}

/** The signal aborts when the camera is no longer needed. */
function waitForPhoto(deps: TakePhotoDeps, camera: Camera, signal: AbortSignal): Promise<Step> {
  const { screen, texts, emit } = deps;
  const { menu, chosen } = makeCameraMenu(deps, camera);
  emit('livegate-progress', { phase: 'camera' });
  const choice = screen.show({
    name: 'camera',
    title: texts.title,
    text: texts.guide,
    stage: 'camera',
    extra: camera.choices.length > 1 ? [menu] : [],
    actions: [{ name: 'shoot', label: texts.shoot, isMain: true }, ...otherWays(deps)],
  });
  const faceFinder = deps.faceFinder();
  const watch = watchCamera(screen.video, {
    signal,
    faceFinder,
    // Afterwards, so that both do not share a slow network. Without faces nothing needs their points.
    facePoints: faceFinder.then((found) => found && deps.facePoints()),
    onHint: createShowHint(deps),
  });
  const keep = async (frame: Snapshot, isChecked: boolean): Promise<Step> => {
    return { kind: 'taken', taken: await develop(frame, { camera, watch, isChecked }) };
  };
  return Promise.race([
    watch.best.then((frame) => keep(frame, true)),
    choice.then((way) => (way.name === 'shoot' ? keep(watch.shoot(), false) : toStep(way))),
    chosen.then((deviceId): Step => ({ kind: 'camera', deviceId })),
    untilAborted(camera.lost).then((): Step => ({ kind: 'no camera', why: 'camera_busy' })),
    untilAborted(signal).then((): Step => ({ kind: 'cancel' })),
  ]);
}

/** The photo of a frame, with what the gateway asks about it. */
async function develop(
  { canvas, at }: Snapshot,
  { camera, watch, isChecked }: { camera: Camera; watch: CameraWatch; isChecked: boolean },
): Promise<Taken> {
  const kind = camera.kind === 'infrared' ? 'unknown' : camera.kind;
  const facts = { source: 'camera', at, ...watch.count(), camera: kind } as const;
  return { photo: { image: await toJpeg(canvas), facts }, picture: canvas, isChecked };
}

/** Shows live hints, and tells each change to the host. */
function createShowHint({ screen, texts, emit }: TakePhotoDeps) {
  let shown = '';
  return (code: string, isGood: boolean): void => {
    screen.setGood(isGood);
    const text = hintText(texts, code);
    screen.say(text);
    if (code !== shown && code !== 'guide') emit('livegate-hint', { code, text });
    shown = code;
  };
}

/** `chosen` resolves to the id of another camera. */
function makeCameraMenu({ texts }: TakePhotoDeps, camera: Camera) {
  const select = make(
    'select',
    {},
    ...camera.choices.map(({ deviceId, label }, n) =>
      make('option', { value: deviceId, textContent: label || `${texts.choose_camera} ${n + 1}` }),
    ),
  );
  select.value = camera.deviceId;
  const chosen = new Promise<string>((resolve) => {
    select.addEventListener('change', () => resolve(select.value));
  });
  return { menu: make('label', {}, `${texts.choose_camera} `, select), chosen };
}
