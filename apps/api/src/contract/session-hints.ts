/** What a person can do better, in English. The page has these texts in its own languages. */
const texts: Record<string, string> = {
  check_failed: 'the photo could not be checked, take another one',
  face_not_detected: 'show your face to the camera',
  invalid_image: 'the photo cannot be read, take another one',
  too_many_faces: 'only your own face may be in the picture',
  try_again: 'take another photo, with even light on your face',
  // The quality codes.
  face_cropped: 'keep your whole face in the picture',
  face_off_center: 'bring your face to the center of the picture',
  face_too_close: 'move a little further away',
  face_too_small: 'move a little closer',
  face_turned: 'hold your head straight',
  image_rotated: 'hold the camera upright',
  image_too_blurry: 'clean the lens and hold still',
  image_too_bright: 'turn away from the strong light',
  image_too_dark: 'find a brighter place',
};

export const hintText = (code: string): string => texts[code] ?? 'take another photo';
