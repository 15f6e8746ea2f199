// Callers in a process of their own: sends each open load that its parent describes, and returns how its
// requests ended.
import { sendOpenLoad } from '../load/open-load.js';
import type { AskedLoad } from '../load/refusals.js';

process.on('message', (message) => {
  const { url, image, ...load } = message as AskedLoad;
  void sendOpenLoad(url, { ...load, image: Buffer.from(image, 'base64') }).then((answers) =>
    process.send!(answers),
  );
});
