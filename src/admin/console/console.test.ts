import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openBrowser } from '../../browser-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { makePerson } from '../operators-testing.ts'
import { openConsole, signInAs } from './fixtures-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
})
after(() => lido.stop())

const later = (minutes: number) =>
  lido.services.db
    .updateTable('consoleSessions')
    .set(({ eb }) => ({ provedAt: new Date(Date.now() - minutes * 60_000), seenAt: eb.ref('seenAt') }))
    .execute()

const csrfOf = (html: string): string => html.match(/name="csrf" value="([^"]+)"/)?.[1] ?? ''

test('sends whoever is not signed in to the admin workspace, and back to the page they asked for', async () => {
  const email = 'deep@example.org'
  const id = await makePerson(lido, 'administrators', email)
  await lido.call('PUT', `/operators/${id}`, { role: 'viewer' })
  const browser = openBrowser(lido.url)
  await browser.get('/console/pools?limit=3')
  assert.match(browser.page.url, /\/w\/admin\/signin\//)
  await signInAs(browser, email)
  assert.equal(browser.page.url, `${lido.url}/console/pools?limit=3`)
  assert.match(browser.page.html, /<h1>Pools<\/h1>/)
})

test('lets in nobody who is not an operator', async () => {
  const email = 'nobody@example.org'
  await makePerson(lido, 'administrators', email)
  const browser = openBrowser(lido.url)
  await browser.get('/console')
  await signInAs(browser, email)
  assert.equal(browser.page.status, 403)
  assert.match(browser.page.html, /This account is not an operator/)
  await browser.get('/console')
  assert.doesNotMatch(browser.page.html, /Workspaces/)
})

test('a sign-in that another browser began is not completed here', async () => {
  const email = 'fixed@example.org'
  const id = await makePerson(lido, 'administrators', email)
  await lido.call('PUT', `/operators/${id}`, { role: 'viewer' })
  const attacker = openBrowser(lido.url)
  const begun = await fetch(`${lido.url}/console`, { redirect: 'manual' })
  const state = new URL(begun.headers.get('Location') ?? '').searchParams.get('state')
  await attacker.get(`/console/callback?code=stolen&state=${state}`)
  assert.equal(attacker.page.status, 410)
})

test('the session ends with the sign-out, and the token of before a step-up is dead', async () => {
  const browser = await openConsole(lido)
  const token = () => browser.cookies.get('lido_console@/')?.value ?? ''
  const first = token()
  await later(11)
  await browser.get('/console/pools/people/~delete')
  assert.match(browser.page.url, /\/w\/admin\/signin\//)
  await signInAs(browser, browser.operator.email)
  assert.equal(browser.page.url, `${lido.url}/console/pools/people/~delete`)
  assert.notEqual(token(), first)
  const stale = await fetch(`${lido.url}/console/pools`, {
    headers: { Cookie: `lido_console=${first}` },
    redirect: 'manual',
  })
  assert.equal(stale.status, 303)
  const live = token()
  await browser.post('/console/~sign-out', { csrf: csrfOf(browser.page.html) })
  const over = await fetch(`${lido.url}/console/pools`, {
    headers: { Cookie: `lido_console=${live}` },
    redirect: 'manual',
  })
  assert.equal(over.status, 303)
})

test('somebody else cannot step up in an operator’s visit', async () => {
  const browser = await openConsole(lido)
  const other = 'somebody-else@example.org'
  const id = await makePerson(lido, 'administrators', other)
  await lido.call('PUT', `/operators/${id}`, { role: 'owner' })
  await later(11)
  await browser.get('/console/pools/people/~delete')
  const notYou = browser.page.html.match(/href="([^"]*view=identify[^"]*)"/)?.[1]
  if (notYou) await browser.get(notYou.replaceAll('&amp;', '&'))
  await browser.submit({ identifier: other })
  await signInAs(browser, other)
  assert.ok([403, 400].includes(browser.page.status), String(browser.page.status))
  assert.doesNotMatch(browser.page.html, /Delete the pool/)
})

test('what cannot be undone needs a fresh proof, also when it is posted', async () => {
  const browser = await openConsole(lido)
  const pool = await lido.call('POST', '/pools', { slug: 'short-lived', name: 'Short-lived' })
  assert.equal(pool.status, 201)
  await browser.get('/console/pools/short-lived/~delete')
  const csrf = csrfOf(browser.page.html)
  await later(11)
  await browser.post('/console/pools/short-lived/~delete', { csrf })
  assert.match(browser.page.url, /\/w\/admin\/signin\//)
  assert.equal((await lido.call('GET', '/pools/short-lived')).status, 200)
  await signInAs(browser, browser.operator.email)
  await browser.post('/console/pools/short-lived/~delete', { csrf: csrfOf(browser.page.html) })
  assert.match(browser.page.html, /The pool was deleted/)
  assert.equal((await lido.call('GET', '/pools/short-lived')).status, 404)
})

test('no form without its token, from another origin or with another session’s token does anything', async () => {
  const browser = await openConsole(lido)
  const stranger = await openConsole(lido)
  await browser.get('/console/pools/~new')
  await stranger.get('/console/pools/~new')
  const fields = { slug: 'forged', name: 'Forged', kind: 'local' }
  const own = csrfOf(browser.page.html)
  for (const [sent, headers] of [
    [{ ...fields }, {}],
    [{ ...fields, csrf: csrfOf(stranger.page.html) }, {}],
    [{ ...fields, csrf: own }, { Origin: 'https://evil.example' }],
    [{ ...fields, csrf: own }, { 'Sec-Fetch-Site': 'cross-site' }],
  ] as [Record<string, string>, Record<string, string>][]) {
    await browser.post('/console/pools/~new', sent, headers)
    assert.equal(browser.page.status, 403)
  }
  assert.equal((await lido.call('GET', '/pools/forged')).status, 404)
})

test('an operator who is deactivated, demoted or signed out everywhere is out at once', async () => {
  for (const end of [
    (id: string) => lido.call('PATCH', `/pools/administrators/users/${id}`, { status: 'inactive' }),
    (id: string) => lido.call('DELETE', `/operators/${id}`),
    (id: string) => lido.call('DELETE', `/pools/administrators/users/${id}/sessions`),
  ]) {
    const browser = await openConsole(lido, { role: 'admin' })
    const done = await end(browser.operator.id)
    assert.ok(done.status < 300, JSON.stringify(done.body))
    await browser.get('/console/pools')
    assert.doesNotMatch(browser.page.html, /<h1>Pools<\/h1>/)
  }
})

test('shows an operator only what their role and limits reach', async () => {
  const { body: mine } = await lido.call('POST', '/pools', { slug: 'mine', name: 'Mine' })
  await lido.call('POST', '/pools', { slug: 'foreign', name: 'Foreign' })
  const browser = await openConsole(lido, { role: 'helpdesk', pools: [String(mine.id)] })
  await browser.get('/console/pools')
  assert.match(browser.page.html, /Mine/)
  assert.doesNotMatch(browser.page.html, /Foreign|New pool|>Workspaces</)
  for (const path of ['/console/pools/foreign', '/console/pools/nothing-of-the-sort']) {
    await browser.get(path)
    assert.equal(browser.page.status, 404)
  }
  await browser.get('/console/pools/mine/~edit')
  assert.equal(browser.page.status, 403)
})

test('whoever may not see the dashboard comes in at the first section that they may see', async () => {
  const browser = await openConsole(lido, { role: 'helpdesk' })
  assert.equal(browser.page.url, `${lido.url}/console/pools`)
  assert.match(browser.page.html, /<h1>Pools<\/h1>/)
  assert.equal((await openConsole(lido, { role: 'viewer' })).page.url, `${lido.url}/console`)
})

test('every answer forbids caching, framing and scripts from elsewhere', async () => {
  const browser = await openConsole(lido)
  await browser.get('/console/pools')
  const policy = browser.page.headers.get('Content-Security-Policy') ?? ''
  assert.match(policy, /default-src 'none'/)
  assert.match(policy, /frame-ancestors 'none'/)
  assert.equal(browser.page.headers.get('Cache-Control'), 'no-store')
})

test('many pages opened at once without a session do not fill the browser with sign-ins', async () => {
  const email = 'tabs@example.org'
  const id = await makePerson(lido, 'administrators', email)
  await lido.call('PUT', `/operators/${id}`, { role: 'viewer' })
  const browser = openBrowser(lido.url)
  for (let tab = 0; tab < 30; tab += 1) await browser.get(`/console/pools?limit=${tab + 1}`)
  const begun = [...browser.cookies.keys()].filter((name) => name.startsWith('lido_console_'))
  assert.ok(begun.length <= 10, `${begun.length} sign-ins`)
  await signInAs(browser, email)
  assert.equal(browser.page.url, `${lido.url}/console/pools?limit=30`)
})
