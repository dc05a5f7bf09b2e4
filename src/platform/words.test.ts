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

  it('counts in every form that a language has', () => {
    const days = (lang: string, count: number) => wordsFor(lang).t('field.remember', { days: count })
    const said = [1, 2, 3, 11, 100].map((count) => days('ar', count))
    assert.deepEqual(
      said.map((one) => one.slice(one.lastIndexOf('لمدة') + 5)),
      ['يوم واحد', 'يومين', '3 أيام', '11 يومًا', '100 يوم'],
    )
    assert.equal(days('ja', 30), 'このデバイスでは 30 日間確認しない')
    assert.notEqual(days('fr', 1), days('fr', 30).replace('30', '1'))
  })

  it('is written from right to left where that is how it is read, with values apart in their own direction', () => {
    assert.deepEqual(
      languages.filter((lang) => wordsFor(lang).dir === 'rtl'),
      ['ar'],
    )
    const address = '+41 79 123 45 67'
    assert.ok(wordsFor('ar').t('verify.sms.text', { address }).includes(`\u2068${address}\u2069`))
    assert.ok(wordsFor('de').t('verify.sms.text', { address }).includes(` ${address} `))
    const changed = wordsFor('ar').t('mail.identifier-changed.text', { added: 'ada@example.org', gone: address })
    assert.ok(changed.includes('\u2068ada@example.org\u2069') && changed.includes(`\u2068${address}\u2069`))
    const only = wordsFor('ar').t('mail.identifier-changed.text', { added: 'ada@example.org', gone: 'none' })
    assert.ok(!only.includes('none'))
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
    assert.throws(() => wordsFor('it'), /no words in "it"/)
    assert.throws(() => wordsFor('../../package'), /no words in/)
  })
})

describe('the language', () => {
  const cases: [string, Parameters<typeof chooseLanguage>[0], string][] = [
    ['falls back to English', {}, 'en'],
    ['falls back where nothing matches', { uiLocales: 'nl it', acceptLanguage: 'sv, *;q=0.5' }, 'en'],
    ['falls back to what it is told to', { uiLocales: 'nl', acceptLanguage: 'sv', otherwise: 'ja' }, 'ja'],
    ['prefers what is asked for to that', { acceptLanguage: 'de', otherwise: 'ja' }, 'de'],
    ['speaks French', { uiLocales: 'fr-CA' }, 'fr'],
    ['speaks Spanish', { acceptLanguage: 'es-419,es;q=0.9' }, 'es'],
    ['speaks Japanese', { acceptLanguage: 'ja-JP' }, 'ja'],
    ['speaks Arabic', { acceptLanguage: 'ar-EG,ar;q=0.9,en;q=0.5' }, 'ar'],
    ['follows ui_locales in its order', { uiLocales: 'nl de en' }, 'de'],
    ['prefers ui_locales to Accept-Language', { uiLocales: 'en', acceptLanguage: 'de' }, 'en'],
    ['asks Accept-Language where ui_locales has no match', { uiLocales: 'nl', acceptLanguage: 'de' }, 'de'],
    ['shortens a range from its end', { uiLocales: 'de-Latn-CH-1996' }, 'de'],
    ['drops a single letter with what it introduces', { uiLocales: 'de-DE-u-co-phonebk' }, 'de'],
    ['does not care about case', { uiLocales: 'DE-at' }, 'de'],
    ['sorts Accept-Language by weight', { acceptLanguage: 'en;q=0.4, nl;q=0.9, de-CH;q=0.8' }, 'de'],
    ['keeps the order of equal weights', { acceptLanguage: 'nl, de, en' }, 'de'],
    ['leaves out what has no weight', { acceptLanguage: 'de;q=0, en;q=0.1' }, 'en'],
    ['leaves out a weight it cannot read', { acceptLanguage: 'de;q=much, en;q=0.1' }, 'en'],
    ['does not match inside a subtag', { uiLocales: 'den deu-x' }, 'en'],
    ['bears nonsense', { uiLocales: '- -- -- -a', acceptLanguage: ';;;,,=,-;q=1,\u0000' }, 'en'],
  ]
  for (const [title, wanted, lang] of cases) it(title, () => assert.equal(chooseLanguage(wanted), lang))

  it('looks at a long list only as far as people write them', () => {
    assert.equal(chooseLanguage({ acceptLanguage: `${'x-'.repeat(8000)},de` }), 'de')
    assert.equal(chooseLanguage({ uiLocales: `${'nl '.repeat(5000)}de` }), 'en')
  })
})
