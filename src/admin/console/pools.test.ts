import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { csrfOf, fill, shownIn } from './record-form-testing.ts'

let lido: AdminLido
let browser: ConsoleBrowser
before(async () => {
  lido = await adminLido()
  browser = await openConsole(lido)
})
after(() => lido.stop())

const at = '/console/pools/crew'

test('a pool is made with what its form says, and shown in words', async () => {
  await fill(browser, '/console/pools/~new', {
    name: 'Crew',
    slug: 'crew',
    self_registration: 'true',
    'identifiers.mobile': 'true',
    'sign_in_methods.sms_code': 'true',
    default_country: 'CH',
    second_factor: 'optional',
    remember_device_days: '30',
    'password_policy.digits': '1',
  })
  assert.match(browser.page.html, /The pool was made/)
  for (const words of [
    'Email address, Mobile number',
    'Asked of whoever has set one up',
    'For 30 days',
    '1 or more digits',
  ])
    assert.ok(browser.page.html.includes(words), words)
  const { body } = await lido.call('GET', '/pools/crew')
  assert.deepEqual(body.identifiers, ['email', 'mobile'])
  assert.deepEqual(body.sign_in_methods, ['password', 'email_code', 'sms_code'])
  assert.equal(body.default_country, 'CH')
  assert.equal(body.sms_countries, null)
})

test('saving a form that was not touched changes nothing', async () => {
  await lido.call('PATCH', '/pools/crew', { second_factors: ['recovery_code', 'totp'], sms_countries: [] })
  const before = await lido.call('GET', '/pools/crew')
  await fill(browser, `${at}/~edit`, {})
  assert.match(browser.page.html, /The pool was changed/)
  const { updated_at: _, ...now } = (await lido.call('GET', '/pools/crew')).body
  const { updated_at: _b, ...then } = before.body
  assert.deepEqual(now, then)
})

test('a text that may be nothing is emptied, and a list keeps its order', async () => {
  await fill(browser, `${at}/~edit`, {
    default_country: '',
    'second_factors.email_code': 'true',
    sms_countries: 'CH\nDE',
  })
  const { body } = await lido.call('GET', '/pools/crew')
  assert.equal(body.default_country, null)
  assert.deepEqual(body.second_factors, ['recovery_code', 'totp', 'email_code'])
  assert.deepEqual(body.sms_countries, ['CH', 'DE'])
})

test('what is wrong is said at its field, and what was typed stays', async () => {
  await fill(browser, `${at}/~edit`, { user_schema: '{ "type":', name: 'Kept name' })
  assert.equal(browser.page.status, 422)
  assert.match(browser.page.html, /id="error-user_schema"[^>]*>This is not JSON/)
  assert.equal(shownIn(browser.page.html).user_schema, '{ "type":')
  assert.equal(shownIn(browser.page.html).name, 'Kept name')
  await fill(browser, `${at}/~edit`, { 'identifiers.mobile': null })
  assert.match(browser.page.html, /id="error-sign_in_methods"[^>]*>A code by text message needs/)
  await fill(browser, `${at}/~edit`, { sms_countries: 'CH\nXX' })
  assert.match(browser.page.html, /id="error-sms_countries"[^>]*>Line 2: /)
})

test('a change that users conflict with is shown with them, and made only all the same', async () => {
  const { body: user, status } = await lido.call('POST', '/pools/crew/users', {
    identifiers: [{ type: 'email', value: 'ada@example.org' }],
    mode: 'set_credentials',
    password: 'a long pass phrase of hers 7',
  })
  assert.equal(status, 201, JSON.stringify(user))
  const user_schema = JSON.stringify({
    type: 'object',
    properties: { given_name: { type: 'string', title: 'Given name' } },
    required: ['given_name'],
  })
  await fill(browser, `${at}/~edit`, { user_schema })
  assert.equal(browser.page.status, 422)
  assert.match(browser.page.html, /1 user would no longer fit/)
  assert.ok(browser.page.html.includes(`href="${at}/users/${user.id}"`))
  assert.match(browser.page.html, /Change it all the same/)
  assert.deepEqual((await lido.call('GET', '/pools/crew')).body.user_schema, {
    type: 'object',
    properties: {},
    required: [],
  })
  await browser.post(`${at}/~edit`, { ...shownIn(browser.page.html), accept_conflicts: 'true' })
  assert.match(browser.page.html, /The pool was changed/)
  assert.deepEqual((await lido.call('GET', '/pools/crew')).body.user_schema, JSON.parse(user_schema))
})

test('the preview draws the registration that is typed, and the saved one where that makes no sense', async () => {
  await browser.get(`${at}/~edit`)
  const page = browser.page.html
  const typed = { ...shownIn(page), 'preview.page': 'register' }
  const schema = (title: unknown) => JSON.stringify({ type: 'object', properties: { boat: { type: 'string', title } } })
  await browser.post(`${at}/~preview`, { ...typed, user_schema: schema('Name of <the> boat') })
  assert.match(browser.page.html, /Name of &lt;the&gt; boat/)
  for (const user_schema of ['{', '{"properties":{"boat":null}}', '{"type":"nonsense"}', '[]']) {
    await browser.post(`${at}/~preview`, { ...typed, user_schema })
    assert.equal(browser.page.status, 200, user_schema)
    assert.equal(browser.page.step, 'register')
  }
  await browser.post('/console/pools/~preview', {
    csrf: csrfOf(page),
    name: 'Not there yet',
    'identifiers.username': 'true',
  })
  assert.match(browser.page.html, /Username/)
})

test('the pool of another operator is not there, not for its preview either', async () => {
  const { body } = await lido.call('POST', '/pools', { slug: 'mine-alone', name: 'Mine alone' })
  const limited = await openConsole(lido, { role: 'admin', pools: [String(body.id)] })
  for (const path of ['', '/~edit', '/~delete', '/~preview']) {
    await limited.get(`${at}${path}`)
    assert.equal(limited.page.status, 404, path)
  }
  await limited.get('/console/pools/mine-alone/~edit')
  const typed = shownIn(limited.page.html)
  await limited.post('/console/pools/mine-alone/~preview', { ...typed, 'preview.workspace': 'no-such-workspace' })
  assert.equal(limited.page.status, 404)
})

test('helpdesk and viewer see a pool, and are offered and allowed no change', async () => {
  for (const role of ['helpdesk', 'viewer'] as const) {
    const reader = await openConsole(lido, { role })
    await reader.get(at)
    assert.equal(reader.page.status, 200)
    assert.doesNotMatch(reader.page.html, /~edit|~delete/)
    await reader.post(`${at}/~edit`, { csrf: csrfOf(reader.page.html), name: 'Taken' })
    assert.equal(reader.page.status, 403)
  }
})
