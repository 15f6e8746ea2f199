import { drawSample, toJpeg } from './draw-sample.js';
import { byId, onClick } from '../elements.js';

export interface Picked {
  image: Blob;
  /** For the code examples. */
  name: string;
  isDrawn?: boolean;
}

/** Calls `use` with each image that the visitor chooses, drops, pastes, takes or draws. */
export function chooseImages(use: (picked: Picked) => void): void {
  const file = byId('file', HTMLInputElement);
  file.addEventListener('change', () => {
    useFile(file.files?.[0]);
    file.value = '';
  });
  acceptDrops(byId('drop', HTMLElement), useFile);
  document.addEventListener('paste', (event) => useFile(event.clipboardData?.files[0]));
  let drawn = 0;
  onClick(byId('sample', HTMLButtonElement), async () => {
    use({ image: await drawSample(drawn), name: 'sample.jpg', isDrawn: true });
    drawn += 1;
  });
  takePictures((image) => use({ image, name: 'camera.jpg' }));

  function useFile(chosen: File | undefined): void {
    if (chosen) use({ image: chosen, name: chosen.name });
  }
}

function acceptDrops(area: HTMLElement, drop: (file: File | undefined) => void): void {
  area.addEventListener('dragover', (event) => {
    event.preventDefault();
    area.classList.add('over');
  });
  area.addEventListener('dragleave', () => area.classList.remove('over'));
  area.addEventListener('drop', (event) => {
    event.preventDefault();
    area.classList.remove('over');
    drop(event.dataTransfer?.files[0]);
  });
}

/** The camera is on only between the two buttons. */
function takePictures(use: (image: Blob) => void): void {
  const [video, shoot] = [byId('camera', HTMLVideoElement), byId('shoot', HTMLButtonElement)];
  const [invite, open] = [byId('invite', HTMLElement), byId('webcam', HTMLButtonElement)];

  onClick(open, async () => {
    if (!navigator.mediaDevices) return refuse('browsers give it to pages over https or localhost');
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: 'user', width: { ideal: 1280 }, height: { ideal: 720 } },
      });
    } catch (error) {
      return refuse(error instanceof Error ? error.message : String(error));
    }
    await video.play();
    toggle(true);
  });
  onClick(shoot, async () => {
    const image = await captureFrame(video);
    (video.srcObject as MediaStream).getTracks().forEach((track) => track.stop());
    toggle(false);
    use(image);
  });

  function refuse(reason: string): void {
    const text = `The camera cannot be used: ${reason}. Choose a photo instead.`;
    byId('refusal', HTMLElement).textContent = text;
  }

  function toggle(isOn: boolean): void {
    byId('refusal', HTMLElement).textContent = '';
    byId('views', HTMLElement).hidden = byId('photo', HTMLCanvasElement).hidden = true;
    video.hidden = shoot.hidden = !isOn;
    open.hidden = isOn;
    invite.hidden = true;
    if (isOn) shoot.focus();
  }
}

async function captureFrame(video: HTMLVideoElement): Promise<Blob> {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext('2d')!.drawImage(video, 0, 0);
  return toJpeg(canvas);
}
