import { qualityCodes } from '@livegate/core/domain';
import { expect, it } from 'vitest';
import en from '../../texts/en.json' with { type: 'json' };
import id from '../../texts/id.json' with { type: 'json' };
import { chooseLanguage, hintText, textsIn } from './texts.js';

it('English and Indonesian have the same texts, and every one of them is translated', () => {
  expect(Object.keys(id)).toEqual(Object.keys(en));
  expect(Object.entries(id).filter(([key, text]) => text === en[key as keyof typeof en])).toEqual(
    [],
  );
});

it('every quality code of the gateway has a text', () => {
  expect(qualityCodes.filter((code) => !(code in en))).toEqual([]);
});

it.each<[string, (string | null)[]]>([
  ['id', ['id-ID', 'en']],
  ['id', ['in']],
  ['en', ['xx', 'en-GB', 'id']],
  ['id', [null, '', 'ID']],
  ['en', ['xx']],
  ['de', ['de-AT']],
])('the language is %s for a person who wants %j', (language, wanted) => {
  expect(chooseLanguage(wanted, { de: { title: 'Selfie aufnehmen' } })).toBe(language);
});

it('a text of the operator replaces the built-in one, and English stands in for a missing one', () => {
  const own = { de: { title: 'Selfie aufnehmen' }, id: { title: 'Foto wajah' } };
  expect(textsIn('de', own)).toMatchObject({ title: 'Selfie aufnehmen', shoot: en.shoot });
  expect(textsIn('id', own)).toMatchObject({ title: 'Foto wajah', shoot: id.shoot });
});

it('a code without a text of its own asks for another photo', () => {
  expect(hintText(textsIn('en', {}), 'some_new_code')).toBe(en.try_again);
});
