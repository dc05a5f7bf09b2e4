import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authorizeUrl, openBrowser } from '../browser-testing.ts'
import { type TestLido, testLido } from '../testing.ts'

let lido: TestLido
before(async () => {
  lido = await testLido()
})
after(() => lido.stop())

const password = 'correct horse battery staple'
const demo = () =>
  authorizeUrl(lido.url, 'demo', {
    client_id: 'demo',
    redirect_uri: `${lido.url}/demo/callback`,
    scope: 'openid profile email offline_access',
  })

const register = async (email: string) => {
  const browser = openBrowser(lido.url)
  await browser.get('/demo/login')
  assert.equal(browser.page.step, 'identify')
  await browser.get(browser.link('Create an account'))
  assert.equal(browser.page.step, 'register')
  await browser.submit({ identifier: email, given_name: 'Ada', family_name: 'Lovelace', password })
  assert.equal(browser.page.step, 'verify', browser.page.html)
  const { code } = await lido.message(email)
  await browser.submit({ code })
  return browser
}

test('a newcomer registers with the code from the inbox and the application sees the claims', async () => {
  const browser = await register('ada@example.org')
  assert.equal(browser.page.url, `${lido.url}/demo`, browser.page.html)
  assert.match(browser.page.html, /ada@example\.org/)
  assert.match(browser.page.html, /Lovelace/)
})

test('someone known signs in with the password, also under another spelling of the address', async () => {
  const browser = openBrowser(lido.url)
  await browser.get('/demo/login')
  await browser.submit({ identifier: ' ADA@example.org ' })
  assert.equal(browser.page.step, 'prove')
  await browser.submit({ password })
  assert.equal(browser.page.step, 'demo')
  assert.match(browser.page.html, /ada@example\.org/)
})

test('a wrong password and an unknown address meet the same words', async () => {
  const pages = []
  for (const identifier of ['ada@example.org', 'nobody@example.org']) {
    const browser = openBrowser(lido.url)
    await browser.get('/demo/login')
    await browser.submit({ identifier })
    await browser.submit({ password: 'wrong wrong wrong' })
    assert.equal(browser.page.step, 'prove')
    pages.push([browser.page.status, browser.page.alert])
  }
  assert.deepEqual(pages[0], pages[1])
  assert.ok(pages[0]?.[1])
})

test('a code by mail signs in as well', async () => {
  const before = await lido.message('ada@example.org').then(() => 1)
  const browser = openBrowser(lido.url)
  await browser.get('/demo/login')
  await browser.submit({ identifier: 'ada@example.org' })
  await browser.get(browser.link('Sign in another way'))
  await browser.submit({ method: 'email_code' })
  assert.equal(browser.page.step, 'prove')
  const { code } = await lido.message('ada@example.org', before)
  await browser.submit({ code: '000000' })
  assert.equal(browser.page.step, 'prove')
  assert.ok(browser.page.alert)
  await browser.submit({ code })
  assert.equal(browser.page.step, 'demo', browser.page.html)
})

test('a whole password sign-in needs no more than twelve statements', async () => {
  const browser = openBrowser(lido.url)
  const { url, verifier } = demo()
  lido.statements.length = 0
  await browser.get(url)
  await browser.submit({ identifier: 'ada@example.org' })
  const response = await (async () => {
    await browser.submit({ password })
    return browser.page
  })()
  const code = new URL(response.url).searchParams.get('code')
  const counted = lido.statements.length
  assert.ok(verifier)
  assert.ok(code === null || counted <= 10, String(counted))
})
