import en from '../../texts/en.json' with { type: 'json' };
import id from '../../texts/id.json' with { type: 'json' };

export type TextKey = keyof typeof en;
export type Texts = Record<TextKey, string>;
/** Texts that replace or add to the built-in ones, by language. */
export type OwnTexts = Record<string, Partial<Texts>>;

const builtIn: OwnTexts = { en, id };

/** The first of these languages that has texts, also by its first subtag; otherwise English. */
export function chooseLanguage(wanted: (string | null | undefined)[], own: OwnTexts): string {
  const known = new Map(
    [...Object.keys(builtIn), ...Object.keys(own)].map((tag) => [tag.toLowerCase(), tag]),
  );
  for (const tag of wanted) {
    const lower = (tag ?? '').toLowerCase();
    // "in" is the code of Indonesian in old Android versions.
    const found = known.get(lower) ?? known.get(lower.split('-')[0]!.replace(/^in$/, 'id'));
    if (found !== undefined) return found;
  }
  return 'en';
}

/** A language without a text of its own falls back to its built-in one, then to English. */
export function textsIn(language: string, own: OwnTexts): Texts {
  return { ...en, ...builtIn[language], ...own[language] };
}

/** What a person can do better: the text of a code from the live checks or from the gateway. */
export function hintText(texts: Texts, code: string): string {
  return code in texts ? texts[code as TextKey] : texts.try_again;
}
