import assert from 'node:assert/strict'
import { test } from 'node:test'
import { passwordPolicyOf, poolSettings } from '../directory/pool-settings.ts'
import { faultOf } from './passwords.ts'

const policyOf = (password_policy: object = {}, more: object = {}) =>
  passwordPolicyOf({ ...poolSettings.parse({ password_policy }), ...more })

const context = ['People', 'ada.lovelace@example.org', 'Ada', 'Lovelace', '+41791234567']

const cases: [password: string, fault: string | undefined, policy?: object][] = [
  ['', 'required'],
  ['eleven char', 'short'],
  ['twelve chars', undefined],
  ['eight ch', undefined, { min_length: 8 }],
  ['four words in a row', undefined],
  ['            12345678', undefined],
  ['ünïcödé ïs fïnë', undefined],
  ['日本語のパスワードです。', undefined],
  ['e\u0301'.repeat(11), 'short'],
  ['😀😁😂🤣😃😄😅😆😉😊😋', 'short'],
  ['😀😁😂🤣😃😄😅😆😉😊😋😎', undefined],
  ['long enough '.repeat(85), undefined],
  ['long enough '.repeat(86), 'long'],
  ['e\u0301xy'.repeat(210), 'long'],
  ['aaaaaaaaaaaaaaaa', 'common'],
  ['ababababababab', 'common'],
  ['ada lovelace example', 'context'],
  ['LOVELACE-lovelace', 'context'],
  ['people-people-12', 'context'],
  ['lido lido lido lido', 'context'],
  ['41791234567 4179', undefined],
  ['password1234', 'common'],
  ['Password1234', 'common'],
  ['P4$$w0rd!2024', 'common'],
  ['1234passwort1', 'common'],
  ['passwordpassword', 'common'],
  ['iloveyou123456789', 'common'],
  ['qwertyuiop12', 'common'],
  ['trustno1trustno1', 'common'],
  ['password of a heron', undefined],
  ['correct horse battery staple', undefined],
  ['no capital here 12', 'asks', { uppercase: 1 }],
  ['One Capital here 12', 'asks', { uppercase: 3 }],
  ['Three Capitals Here', undefined, { uppercase: 3 }],
  ['ÄÖÜ ALSO COUNT', undefined, { uppercase: 3 }],
  ['only 1 digit here', 'asks', { digits: 2 }],
  ['arabic ١٢ digits', undefined, { digits: 2 }],
  ['spaces are no symbols', 'asks', { symbols: 1 }],
  ['but dashes are - so', undefined, { symbols: 1 }],
  ['NO SMALL LETTERS', 'asks', { lowercase: 1 }],
  ['only 14 chars!', 'short', { preset: 'nist' }],
  ['but here are 15', undefined, { preset: 'nist', uppercase: 9, symbols: 9 }],
]

for (const [password, fault, policy] of cases)
  test(`"${password.slice(0, 30)}" is ${fault ?? 'taken'}${policy ? ` under ${JSON.stringify(policy)}` : ''}`, () => {
    const key = faultOf(password, policyOf(policy), context)?.key
    assert.equal(key, fault && (fault === 'required' ? 'error.required' : `error.password_${fault}`))
  })

test('NIST asks for eight characters where a second factor is required, and never for a change', () => {
  const nist = { preset: 'nist', expires_after_days: 30 }
  assert.equal(policyOf(nist).min_length, 15)
  assert.equal(policyOf(nist, { second_factor: 'optional' }).min_length, 15)
  assert.equal(policyOf(nist, { second_factor: 'required' }).min_length, 8)
  assert.equal(policyOf(nist).expires_after_days, null)
})

test('what is missing is counted', () => {
  const fault = faultOf('only 1 digit here', policyOf({ digits: 3, uppercase: 1 }), [])
  assert.deepEqual(fault?.values, { lowercase: 0, uppercase: 1, digits: 2, symbols: 0 })
})
