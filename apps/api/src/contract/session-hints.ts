/** What a person can do better, in English. The page has these texts in its own languages. */
const texts: Record<string, string> = {
  check_failed: 'the photo could not be checked, take another one',
  face_cropped: 'show your whole face',
  face_covered: 'uncover your face',
  face_not_detected: 'show your face to the camera',
  face_off_center: 'move your face to the middle',
  face_too_close: 'move a little further away',
  face_too_small: 'move a little closer',
  face_turned: 'look straight into the camera',
  image_rotated: 'hold the phone upright',
  image_too_blurry: 'hold still, and clean the lens',
  image_too_bright: 'find a place with less light',
  image_too_dark: 'find a place with more light',
  invalid_image: 'the photo cannot be read, take another one',
  too_many_faces: 'only your own face may be in the picture',
  try_again: 'take another photo, with even light on your face',
};

export const hintText = (code: string): string => texts[code] ?? 'take another photo';
