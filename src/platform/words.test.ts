import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { chooseLanguage, languages, wordsFor } from './words.ts'

describe('words', () => {
  it('has a catalogue for every language', () => {
    for (const lang of languages) assert.equal(wordsFor(lang).lang, lang)
  })

  it('says what the catalogue says, with the values in place', () => {
    assert.equal(wordsFor('en').t('button.continue'), 'Continue')
    assert.equal(wordsFor('de').t('button.continue'), 'Weiter')
    assert.equal(wordsFor('en').t('signin.to', { client: 'Acme' }), 'to continue to Acme')
  })

  it('counts in words', () => {
    const { t } = wordsFor('en')
    assert.match(t('mail.valid', { minutes: 1 }), /for 1 minute\./)
    assert.match(t('mail.valid', { minutes: 10 }), /for 10 minutes\./)
  })

  it('takes values as plain text, whatever they look like', () => {
    const client = `<b>'{x}'</b> {{7*7}} # $&`
    assert.equal(wordsFor('en').t('signin.to', { client }), `to continue to ${client}`)
  })

  it('throws where words or values are missing', () => {
    const { t } = wordsFor('en')
    assert.throws(() => t('no.such.key'), /no words for "no\.such\.key" in en/)
    assert.throws(() => t('constructor'), /no words/)
    assert.throws(() => t('signin.to', {}), /client/)
    assert.throws(() => wordsFor('fr'), /no words in "fr"/)
    assert.throws(() => wordsFor('../../package'), /no words in/)
  })
})

describe('the language', () => {
  const cases: [string, Parameters<typeof chooseLanguage>[0], string][] = [
    ['falls back to English', {}, 'en'],
    ['falls back where nothing matches', { uiLocales: 'fr it', acceptLanguage: 'ja, *;q=0.5' }, 'en'],
    ['follows ui_locales in its order', { uiLocales: 'fr de en' }, 'de'],
    ['prefers ui_locales to Accept-Language', { uiLocales: 'en', acceptLanguage: 'de' }, 'en'],
    ['asks Accept-Language where ui_locales has no match', { uiLocales: 'fr', acceptLanguage: 'de' }, 'de'],
    ['shortens a range from its end', { uiLocales: 'de-Latn-CH-1996' }, 'de'],
    ['drops a single letter with what it introduces', { uiLocales: 'de-DE-u-co-phonebk' }, 'de'],
    ['does not care about case', { uiLocales: 'DE-at' }, 'de'],
    ['sorts Accept-Language by weight', { acceptLanguage: 'en;q=0.4, fr;q=0.9, de-CH;q=0.8' }, 'de'],
    ['keeps the order of equal weights', { acceptLanguage: 'fr, de, en' }, 'de'],
    ['leaves out what has no weight', { acceptLanguage: 'de;q=0, en;q=0.1' }, 'en'],
    ['leaves out a weight it cannot read', { acceptLanguage: 'de;q=much, en;q=0.1' }, 'en'],
    ['does not match inside a subtag', { uiLocales: 'den deu-x' }, 'en'],
    ['bears nonsense', { uiLocales: '- -- -- -a', acceptLanguage: ';;;,,=,-;q=1,\u0000' }, 'en'],
  ]
  for (const [title, wanted, lang] of cases) it(title, () => assert.equal(chooseLanguage(wanted), lang))

  it('looks at a long list only as far as people write them', () => {
    assert.equal(chooseLanguage({ acceptLanguage: `${'x-'.repeat(8000)},de` }), 'de')
    assert.equal(chooseLanguage({ uiLocales: `${'fr '.repeat(5000)}de` }), 'en')
  })
})
