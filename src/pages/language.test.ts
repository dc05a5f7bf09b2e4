import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Pool } from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  token,
  visit,
  visitAs,
} from './fixtures-testing.ts'

let lido: TestLido
let pool: Pool
before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'guests', { self_registration: true })
  const settings = { default_language: 'ja', refresh_grace_seconds: 0 } as const
  const workspace = await makeWorkspace(lido, 'kyoto', [{ pool }], settings)
  await makeClient(lido, workspace.id)
})
after(() => lido.stop())

const langOf = (html: string) => /<html lang="([^"]*)" dir="([^"]*)">/.exec(html)?.slice(1).join(' ')

/** A page of the workspace, asked for by a browser that says what it prefers. */
const ask = async (path: string, prefers?: string) => {
  const headers = { Accept: 'text/html', ...(prefers ? { 'Accept-Language': prefers } : {}) }
  const response = await fetch(`${lido.url}/w/kyoto${path}`, { headers })
  return { lang: langOf(await response.text()), told: response.headers.get('Content-Language') }
}

test('a workspace speaks its own language where nobody asks for one that there is', async () => {
  assert.deepEqual(await ask('/recover'), { lang: 'ja ltr', told: 'ja' })
  assert.deepEqual(await ask('/recover', 'nl, sv;q=0.5'), { lang: 'ja ltr', told: 'ja' })
  assert.equal((await ask('/nowhere')).lang, 'ja ltr')
  assert.equal(langOf((await visit(lido, 'kyoto')).page.html), 'ja ltr')
})

test('whoever asks for a language gets it', async () => {
  assert.deepEqual(await ask('/recover', 'ar-EG,ar;q=0.9'), { lang: 'ar rtl', told: 'ar' })
  assert.deepEqual(await ask('/recover?ui_locales=fr', 'ar'), { lang: 'fr ltr', told: 'fr' })
  assert.equal(langOf((await visit(lido, 'kyoto', { ui_locales: 'es-419' })).page.html), 'es ltr')
})

test('a mail speaks the language of the page that caused it', async () => {
  for (const [lang, subject] of [
    ['es', 'Restablezca su contraseña de Workspace kyoto'],
    ['ja', 'Workspace kyoto のパスワードの再設定'],
    ['ar', 'إعادة تعيين كلمة مرورك لدى \u2068Workspace kyoto\u2069'],
  ] as const) {
    const address = `${lang}@example.org`
    await makeUser(lido, pool, address)
    const browser = await visit(lido, 'kyoto', { ui_locales: lang })
    await browser.get(`${browser.page.url}?view=recover`)
    await browser.submit({ identifier: address })
    const mail = await lido.message(address)
    assert.equal(mail.subject, subject)
    assert.equal(langOf(mail.html), `${lang} ${lang === 'ar' ? 'rtl' : 'ltr'}`)
  }
})

test('a mail that no page causes speaks the language of its reader, else that of the workspace', async () => {
  const readers: [string, Record<string, unknown>, string][] = [
    ['hana@example.org', {}, 'ja'],
    ['claire@example.org', { locale: 'fr-CH' }, 'fr'],
  ]
  for (const [address, profile, lang] of readers) {
    await makeUser(lido, pool, address, { profile })
    const browser = await visitAs(lido, 'kyoto', address)
    await browser.submit({ password })
    const { body } = await redeem(lido, 'kyoto', browser)
    const again = { grant_type: 'refresh_token', client_id: 'app', refresh_token: body.refresh_token ?? '' }
    assert.equal((await token(lido.url, 'kyoto', again)).status, 200)
    assert.equal((await token(lido.url, 'kyoto', again)).status, 400)
    assert.equal(langOf((await lido.message(address)).html), `${lang} ltr`)
  }
})
