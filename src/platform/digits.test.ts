import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { plainCode } from './digits.ts'

describe('a code', () => {
  const cases: [string, string][] = [
    ['as it is', '493027'],
    ['in groups', ' 493-027 '],
    ['in full-width digits', '４９３０２７'],
    ['in Arabic digits', '٤٩٣٠٢٧'],
    ['in Persian digits', '۴۹۳۰۲۷'],
    ['with marks of direction that came along', '\u2066493 027\u2069'],
  ]
  for (const [title, typed] of cases) it(`is read ${title}`, () => assert.equal(plainCode(typed), '493027'))

  it('keeps whatever else was typed, so that it stays wrong', () => assert.equal(plainCode('49३0o7'), '49३0o7'))
})
