import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { wordsFor } from '../words.ts'
import { assetOf } from './assets.ts'
import { type Brand, onBrand, openRender, renderMessage } from './render.ts'
import { tint } from './tint.ts'

const words = wordsFor('en')
const brand: Brand = { name: 'Acme', logo: null, color: '#1f6feb', links: [] }
const render = openRender()
const page = (looks: Partial<Brand> = {}, values = {}) =>
  render('loggedout', { words, nonce: 'abc', brand: { ...brand, ...looks }, ...values })

describe('a page', () => {
  it('speaks the language it is given', () => {
    assert.match(page(), /<html lang="en" dir="ltr">[\s\S]*You are signed out/)
    assert.match(page({}, { words: wordsFor('de') }), /<html lang="de" dir="ltr">[\s\S]*Sie sind abgemeldet/)
    assert.match(page({}, { words: { ...words, lang: 'ar', dir: 'rtl' } }), /<html lang="ar" dir="rtl">/)
  })

  it('takes an operator’s text as text, never as a template or as HTML', () => {
    const name = '{{7*7}} {{range.constructor("return 1")()}} <script>alert(1)</script>'
    const html = page({ name, links: [{ label: '"><img src=x>', href: 'https://example.org/"><script>' }] })
    assert.match(html, /\{\{7\*7\}\} \{\{range\.constructor\(&quot;return 1&quot;\)\(\)\}\} &lt;script&gt;/)
    assert.doesNotMatch(html, /<script|<img/)
  })

  it('leaves out links that would run something', () => {
    for (const href of [
      'javascript:alert(1)',
      ' javascript:x',
      'data:text/html,x',
      '//evil.example',
      '/\\evil.example',
    ])
      assert.doesNotMatch(page({ links: [{ label: 'Imprint', href }] }), /Imprint/)
    for (const href of ['https://example.org', 'http://localhost:3000/a', '/imprint', 'mailto:a@example.org'])
      assert.match(page({ links: [{ label: 'Imprint', href }] }), /Imprint/)
  })

  it('refuses a colour that could break out of the style', () => {
    for (const color of ['red', '#fff', '#12345g', '#123456}body{display:none', 'url(//evil.example)', ''])
      assert.throws(() => page({ color }), /not a colour/)
  })

  it('throws where a value is missing', () => {
    assert.throws(() => render('loggedout', { words, brand }), /null or undefined/)
    assert.throws(() => render('problem', { words, brand, nonce: 'abc' }), /null or undefined/)
    assert.throws(() => render('no/such/view', { words, brand, nonce: 'abc' }), /template not found/)
  })

  it('shows a logo in place of the name', () => {
    assert.match(page({ logo: 'https://example.org/logo.png' }), /<img class="logo" src="https:[^"]+" alt="Acme">/)
  })

  it('names the stylesheet by its content', () => {
    const { body: css, version, path } = assetOf('lido.css')
    assert.ok(css.includes('.button-primary') && page().includes(`href="${path}?v=${version}"`))
    assert.doesNotMatch(css, /url\(|@import/)
    const other = openRender({ assetVersion: 'next' })
    assert.match(other('loggedout', { words, nonce: 'abc', brand }), /href="\/assets\/lido\.css\?v=next"/)
  })
})

describe('a brand’s colour', () => {
  const colors = ['#000000', '#ffffff', '#777777', '#ffff00', '#0000ff', '#1f6feb', '#f2b705', '#00ff00', '#c2185b']

  it('leaves every text at 4.5:1 or better, on light and on dark', () => {
    for (const color of colors) {
      const { on, onLight, onDark } = tint(color)
      assert.ok(contrast(color, on === '#fff' ? '#ffffff' : '#000000') >= 4.5, `${on} on ${color}`)
      for (const light of ['#ffffff', '#f2f5f8', '#e6e9ed'])
        assert.ok(contrast(onLight, light) >= 4.5, `${color} on light`)
      for (const dark of ['#18212b', '#0d141b', '#26303a']) assert.ok(contrast(onDark, dark) >= 4.5, `${color} on dark`)
    }
  })

  it('stays as it is where it can', () => {
    assert.equal(onBrand('#1f6feb'), '#fff')
    assert.equal(onBrand('#f2b705'), '#000')
    assert.equal(tint('#0b4f6e').onLight, '#0b4f6e')
    assert.equal(tint('#9fd8f2').onDark, '#9fd8f2')
  })
})

describe('a message', () => {
  const values = { brand, address: 'ada@example.org', minutes: 10, code: '493027', link: 'https://id.example.org/w/a' }

  it('holds the code and the link in both parts', () => {
    const { subject, text, html } = renderMessage('code', words, { ...values, client: 'Huts' })
    assert.equal(subject, 'Your code for Huts')
    for (const part of [text, html]) {
      assert.match(part, /493027/)
      assert.match(part, /https:\/\/id\.example\.org\/w\/a/)
      assert.match(part, /10 minutes/)
    }
  })

  it('leaves out what there is not', () => {
    const { text, html } = renderMessage('register-taken', words, { brand, address: 'ada@example.org' })
    for (const part of [text, html]) assert.doesNotMatch(part, /493027|href=|You can sign in here/)
  })

  it('takes a person’s name as text', () => {
    const { text, html } = renderMessage('code', words, { ...values, name: '<img src=x onerror=alert(1)>\r\nBcc: x' })
    assert.match(html, /Hello &lt;img src=x onerror=alert\(1\)&gt; Bcc: x,/)
    assert.match(text, /Hello <img src=x onerror=alert\(1\)> Bcc: x,/)
  })

  it('does not call strangers by a name that anyone could have typed', () => {
    for (const name of ['register-code', 'register-taken'] as const)
      assert.doesNotMatch(renderMessage(name, words, { ...values, name: 'Prince Charming' }).text, /Charming/)
  })

  it('keeps its subject on one line', () => {
    const { subject } = renderMessage('code', words, { ...values, client: 'Huts\r\nBcc: evil@example.org\u2028x' })
    assert.equal(subject, 'Your code for Huts Bcc: evil@example.org x')
  })
})

/** WCAG 2.2, "contrast ratio", written a second time so that the first is tested. */
function contrast(one: string, other: string): number {
  const luminance = (color: string) =>
    [1, 3, 5]
      .map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
      .reduce((sum, part, at) => sum + part * ([0.2126, 0.7152, 0.0722][at] ?? 0), 0)
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}
