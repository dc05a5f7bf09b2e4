import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { type AdminLido, adminLido } from './admin/fixtures-testing.ts'
import { type Browser, openBrowser } from './browser-testing.ts'
import * as credentials from './directory/credentials.ts'
import type { Pool } from './directory/pools.ts'
import { eventually } from './oidc/fixtures-testing.ts'
import {
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  rowsOf,
  token,
  visit,
  visitAs,
} from './pages/fixtures-testing.ts'

const leaked = 'a leaked phrase of 7 words'
const fine = 'three herons on 1 jetty'
const temporary = 'set by an operator 1'

interface Asked {
  url: string
  padding: string | undefined
}

/** The range API, with what it was asked. */
const leaks = { server: undefined as Server | undefined, asked: [] as Asked[], answer: 'known' as 'known' | 'error' }

let lido: AdminLido
let strict: Pool
const pools: Record<string, Pool> = {}

before(async () => {
  const server = createServer((request, response) => {
    leaks.asked.push({ url: request.url ?? '', padding: String(request.headers['add-padding']) })
    response.statusCode = leaks.answer === 'known' ? 200 : 503
    response.end(linesFor(leaked, 12).concat(linesFor(fine, 0)).join('\r\n'))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  leaks.server = server
  const { port } = server.address() as AddressInfo
  lido = await adminLido({
    EGRESS_ALLOW: '127.0.0.1',
    BREACHED_PASSWORDS_URL: `http://127.0.0.1:${port}/range`,
  })
  strict = await connect('strict', { digits: 1 })
  await connect('warned', { breached: 'warn' })
  await connect('unasked', { breached: 'off' })
  await connect('remembering', { history: 2 })
  await connect('ageing', { expires_after_days: 30 })
  await connect('nist', { preset: 'nist', uppercase: 3 })
})
after(async () => {
  leaks.server?.close()
  await lido.stop()
})
beforeEach(() => {
  leaks.answer = 'known'
  leaks.asked.length = 0
})

const linesFor = (secret: string, count: number) => [
  `${createHash('sha1').update(secret).digest('hex').toUpperCase().slice(5)}:${count}`,
]

const connect = async (slug: string, password_policy: Record<string, unknown>): Promise<Pool> => {
  const settings = { self_registration: true, password_policy }
  const pool = await makePool(lido, slug, settings as Parameters<typeof makePool>[2])
  const workspace = await makeWorkspace(lido, slug, [{ pool }])
  await makeClient(lido, workspace.id)
  await makeClient(lido, workspace.id, { id: 'ropc', grant_types: ['password', 'refresh_token'] })
  pools[slug] = pool
  return pool
}

const poolOf = (slug: string): Pool => {
  const pool = pools[slug]
  assert.ok(pool)
  return pool
}

let people = 0
const somebody = () => {
  people += 1
  return `heron${people}@example.org`
}

/** A place where a password is chosen: what it says of one, or nothing where it is taken. */
type Door = (secret: string) => Promise<string | undefined>

const saidOn =
  (browser: Browser, step: string, send: (secret: string) => Record<string, string>): Door =>
  async (secret) => {
    const { html, ...page } = await browser.submit(send(secret))
    const said = html.match(/<p class="error" id="error-(?:new_)?password"[^>]*>([^<]*)</)?.[1] ?? page.alert
    assert.ok(page.step === step ? said || html.includes('role="status"') : !said, html)
    return said
  }

const register = async (workspace: string): Promise<Door> => {
  const browser = await visit(lido, workspace)
  await browser.get(`${browser.page.url}?view=register`)
  const identifier = somebody()
  return saidOn(browser, 'register', (secret) => ({ identifier, password: secret }))
}

/** What asking for a reset brings, and not what an earlier one brought or what tells of that. */
const beginReset = async (browser: Browser, identifier: string) => {
  const listResets = async () => {
    const response = await fetch(`${lido.url}/dev/inbox.json?to=${encodeURIComponent(identifier)}`)
    return ((await response.json()) as { code: string; link: string }[]).filter(({ link }) => link)
  }
  const earlier = (await listResets()).length
  await browser.submit({ identifier })
  return eventually(10_000, async () => {
    const [reset, ...others] = await listResets()
    assert.ok(reset && others.length === earlier)
    return reset
  })
}

const resetByCode = async (workspace: string, who?: string): Promise<Door> => {
  const identifier = who ?? somebody()
  if (!who) await makeUser(lido, poolOf(workspace), identifier)
  const browser = await visit(lido, workspace)
  await browser.get(`${browser.page.url}?view=recover`)
  const { code } = await beginReset(browser, identifier)
  return saidOn(browser, 'recover', (secret) => ({ code, new_password: secret }))
}

const resetByLink = async (workspace: string, who?: string): Promise<Door> => {
  const identifier = who ?? somebody()
  if (!who) await makeUser(lido, poolOf(workspace), identifier)
  const first = openBrowser(lido.url)
  await first.get(`/w/${workspace}/recover`)
  const { link } = await beginReset(first, identifier)
  const browser = openBrowser(lido.url)
  await browser.get(link)
  return saidOn(browser, 'recover', (secret) => ({ new_password: secret }))
}

const invitation = async (workspace: string): Promise<Door> => {
  const identifier = somebody()
  const invited = await lido.call('POST', `/pools/${workspace}/invitations`, { workspace, identifier })
  assert.equal(invited.status, 201, JSON.stringify(invited.body))
  const { link } = await lido.message(identifier)
  const browser = openBrowser(lido.url)
  await browser.get(link)
  return saidOn(browser, 'invitation', (secret) => ({ new_password: secret }))
}

const mustChange = async (workspace: string): Promise<Door> => {
  const identifier = somebody()
  const id = await makeUser(lido, poolOf(workspace), identifier)
  await put(workspace, id, temporary, true)
  const browser = await visitAs(lido, workspace, identifier)
  await browser.submit({ password: temporary })
  assert.equal(browser.page.step, 'change', browser.page.html)
  return saidOn(browser, 'change', (secret) => ({ new_password: secret }))
}

const put = async (workspace: string, id: string, secret: string, must_change = false) => {
  const answer = await lido.call('PUT', `/pools/${workspace}/users/${id}/password`, { password: secret, must_change })
  assert.equal(answer.status, 204, JSON.stringify(answer.body))
}

const answered =
  (pointer: string, call: (secret: string) => ReturnType<AdminLido['call']>): Door =>
  async (secret) => {
    const { status, body } = await call(secret)
    if (status < 300) return undefined
    const errors = body.errors as { pointer: string; detail: string }[]
    assert.deepEqual([status, errors.length, errors[0]?.pointer], [422, 1, pointer], JSON.stringify(body))
    return errors[0]?.detail
  }

const create = async (workspace: string): Promise<Door> =>
  answered('/password', (secret) => {
    const identifiers = [{ type: 'email', value: somebody() }]
    return lido.call('POST', `/pools/${workspace}/users`, { mode: 'set_credentials', identifiers, password: secret })
  })

const set = async (workspace: string): Promise<Door> => {
  const id = await makeUser(lido, poolOf(workspace), somebody())
  return answered('/password', (secret) =>
    lido.call('PUT', `/pools/${workspace}/users/${id}/password`, { password: secret }),
  )
}

const change = async (workspace: string): Promise<Door> => {
  const id = await makeUser(lido, poolOf(workspace), somebody())
  return answered('/new_password', (secret) => callChange(workspace, id, password, secret))
}

const callChange = (workspace: string, id: string, old_password: string, new_password: string) =>
  lido.call('POST', `/pools/${workspace}/users/${id}/password/change`, { old_password, new_password })

const doors: [string, (workspace: string) => Promise<Door>][] = [
  ['registration', register],
  ['a reset by code', resetByCode],
  ['a reset by link', resetByLink],
  ['an invitation', invitation],
  ['a password that must change', mustChange],
  ['a user made by an operator', create],
  ['a password set by an operator', set],
  ['a change with the old password', change],
]

const refusals: [string, string, RegExp][] = [
  ['one that is too short', 'a 1 is short', /^Use 12 characters or more|13/],
  ['one without a digit', 'herons stand on jetties', /^More is needed: 1 digit\.$/],
  ['the words of the pool', 'Pool strict Lido 1', /easy to guess from your details/],
  ['a common one', 'P4ssw0rd!123', /Too many people use/],
  ['one from a leak', leaked, /known from a leak at another service\. Please/],
  ['one over 1,024 bytes', `1${'long enough '.repeat(90)}`, /too long/],
]
// Eleven code points, so that it is one too few.
const short = 'a 1 is shor'

for (const [name, open] of doors)
  test(`${name} keeps to the policy of the pool, and says why`, async () => {
    const door = await open(strict.slug)
    for (const [what, secret, words] of refusals) {
      const said = await door(what.includes('short') ? short : secret)
      assert.match(said ?? 'taken', words, what)
    }
    assert.equal(await door(fine), undefined)
  })

test('a reason is told at the field, and in the language of the reader', async () => {
  const browser = await visit(lido, 'strict')
  const german = { 'Accept-Language': 'de' }
  await browser.get(`${browser.page.url}?view=register`, german)
  await browser.submit({ identifier: somebody(), password: leaked }, german)
  const { html } = await browser.get(`${browser.page.url.split('?')[0]}?view=register`, german)
  assert.match(html, /id="field-password"[^>]* aria-invalid="true" aria-describedby="error-password hint-password"/)
  assert.match(html, /<p class="error" id="error-password" role="alert">Dieses Passwort ist aus einem Datenleck/)
  assert.match(html, /Mindestens 12 Zeichen, darunter: 1 Ziffer\./)
  assert.doesNotMatch(html, new RegExp(leaked))
})

test('the range API learns five digits of a hash, padded, and no log a password', async () => {
  const door = await register('strict')
  await door(leaked)
  const hash = createHash('sha1').update(leaked).digest('hex').toUpperCase()
  assert.deepEqual(leaks.asked, [{ url: `/range/${hash.slice(0, 5)}`, padding: 'true' }])
  leaks.answer = 'error'
  assert.equal(await door(leaked), undefined)
  const log = lido.lines.join('\n')
  assert.match(log, /breached passwords could not be asked/)
  for (const secret of [leaked, hash, hash.slice(5)]) assert.ok(!log.toUpperCase().includes(secret.toUpperCase()))
  assert.match(await lido.services.metrics.text(), /lido_breach_checks_total\{outcome="unreachable"\} [1-9]/)
})

test('a pool may only warn of a leaked password: who enters it again gets it', async () => {
  for (const open of [register, resetByCode, resetByLink, invitation, mustChange]) {
    const door = await open('warned')
    assert.match((await door(leaked)) ?? 'taken', /so others may try it\. Choose another, or enter it again/)
    assert.equal(await door(leaked), undefined, open.name)
  }
  for (const open of [create, set, change]) assert.equal(await (await open('warned'))(leaked), undefined, open.name)
  const common = await register('warned')
  assert.match((await common('password1234')) ?? 'taken', /Too many people/)
  assert.match((await common('password1234')) ?? 'taken', /Too many people/)
})

test('a pool that does not look for leaks asks nobody, and has the list of common passwords still', async () => {
  const door = await register('unasked')
  assert.match((await door('password1234')) ?? 'taken', /Too many people/)
  assert.equal(await door(leaked), undefined)
  assert.deepEqual(leaks.asked, [])
})

test('the preset of NIST asks for fifteen characters, and for no mixture', async () => {
  const door = await register('nist')
  assert.match((await door('only 14 chars!')) ?? 'taken', /^Use 15 characters or more$/)
  assert.equal(await door('but here are 15'), undefined)
})

test('a pool that remembers passwords lets nobody go back, and forgets what is older', async () => {
  const id = await makeUser(lido, poolOf('remembering'), somebody())
  const secrets = [password, 'the first heron flies', 'the second heron flies', 'the third heron flies']
  for (let n = 1; n < secrets.length; n += 1)
    assert.equal((await callChange('remembering', id, secrets[n - 1] ?? '', secrets[n] ?? '')).status, 204)
  const back = answered('/new_password', (secret) => callChange('remembering', id, secrets[3] ?? '', secret))
  assert.match((await back(secrets[3] ?? '')) ?? 'taken', /other than the one you have now/)
  assert.match((await back(secrets[2] ?? '')) ?? 'taken', /used this password before/)
  assert.match((await back(secrets[1] ?? '')) ?? 'taken', /used this password before/)
  assert.equal((await dataOf(id)).previous?.length, 2)
  assert.equal(await back(secrets[0] ?? ''), undefined, 'the fourth last is forgotten')
  assert.equal((await dataOf(id)).previous?.length, 2)

  const policy = { history: 0 }
  await lido.call('PATCH', '/pools/remembering', { password_policy: policy })
  await put('remembering', id, 'nothing is remembered')
  assert.equal((await dataOf(id)).previous, undefined)
  await lido.call('PATCH', '/pools/remembering', { password_policy: { history: 2 } })
})

test('a reset tells of earlier passwords only who has the code, and takes the code again', async () => {
  const identifier = somebody()
  const id = await makeUser(lido, poolOf('remembering'), identifier)
  await put('remembering', id, 'the heron of today')
  const browser = await visit(lido, 'remembering')
  await browser.get(`${browser.page.url}?view=recover`)
  const { code } = await beginReset(browser, identifier)
  const wrong = code === '000000' ? '111111' : '000000'
  await browser.submit({ code: wrong, new_password: password })
  assert.match(browser.page.alert ?? '', /code/i)
  assert.doesNotMatch(browser.page.html, /used this password before/)
  const door = saidOn(browser, 'recover', (secret) => ({ code, new_password: secret }))
  assert.match((await door(password)) ?? 'taken', /used this password before/)
  assert.match((await door('the heron of today')) ?? 'taken', /other than the one you have now/)
  assert.equal(await door('the heron of tomorrow'), undefined)
  const byLink = await resetByLink('remembering', identifier)
  assert.match((await byLink('the heron of today')) ?? 'taken', /used this password before/)
  assert.equal(await byLink('the heron of next week'), undefined)
})

test('an operator cannot ask what a password was by setting it', async () => {
  const id = await makeUser(lido, poolOf('remembering'), somebody())
  await put('remembering', id, 'the heron of the operator')
  await put('remembering', id, password)
  assert.equal((await dataOf(id)).previous?.length, 2)
})

test('a password that is too old leads to a new one, and only by password', async () => {
  const identifier = somebody()
  const id = await makeUser(lido, poolOf('ageing'), identifier)
  await age(id, 29)
  assert.ok(isSignedIn(await signIn('ageing', identifier, password)))
  await age(id, 31)
  const browser = await signIn('ageing', identifier, password)
  assert.equal(browser.page.step, 'change')
  assert.match(browser.page.html, /It is time for a new one/)
  const refused = await token(lido.url, 'ageing', {
    grant_type: 'password',
    client_id: 'ropc',
    username: identifier,
    password,
  })
  assert.equal(refused.status, 400)
  await browser.submit({ new_password: password })
  assert.match(browser.page.alert ?? '', /other than the one/)
  await browser.submit({ new_password: fine })
  assert.ok(isSignedIn(browser), browser.page.html)
  assert.ok(isSignedIn(await signIn('ageing', identifier, fine)))

  await age(id, 31)
  const byCode = await visitAs(lido, 'ageing', identifier)
  await byCode.get(`${byCode.page.url}?view=another`)
  await byCode.submit({ method: 'email_code' })
  const { code } = await lido.message(identifier)
  await byCode.submit({ code })
  assert.ok(isSignedIn(byCode), byCode.page.html)
})

test('a password of another system that everybody knows leads to a new one, others are kept', async () => {
  for (const [secret, step] of [
    ['password1234', 'change'],
    [leaked, 'change'],
    [fine, undefined],
  ] as const) {
    const identifier = somebody()
    const id = await makeUser(lido, strict, identifier, { password: null })
    const hash = `sha256$salt$${createHash('sha256').update(`salt${secret}`).digest('hex')}`
    const { db, clock } = lido.services
    await credentials.setPassword(db, clock.now(), strict.id, id, hash)
    const browser = await signIn('strict', identifier, secret)
    assert.equal(browser.page.step, step, secret)
    const { hash: now, changed_at } = await dataOf(id)
    assert.equal(now.startsWith('$argon2id$'), step === undefined)
    assert.ok(changed_at)
  }
})

test('every code point counts: 72 equal characters hide no difference, and forms of a letter are one', async () => {
  const long = somebody()
  await makeUser(lido, strict, long, { password: `${'p'.repeat(72)}A` })
  const other = await signIn('strict', long, `${'p'.repeat(72)}B`)
  assert.equal(other.page.step, 'prove')
  assert.ok(isSignedIn(await signIn('strict', long, `${'p'.repeat(72)}A`)))

  const emoji = ['😀', '😁', '😂', '🤣', '😃', '😄', '😅', '😆', '😉', '😊', '😋', '1']
  const door = await create('strict')
  assert.match((await door(emoji.slice(1).join(''))) ?? 'taken', /^Use 12 characters or more$/)
  assert.equal(await door(emoji.join('')), undefined)
  assert.equal(await door(`  ${fine}  `), undefined)

  const identifier = somebody()
  const id = await makeUser(lido, strict, identifier)
  await put('strict', id, 'Ge\u0301rard habite 1 phare')
  assert.ok(isSignedIn(await signIn('strict', identifier, 'G\u00e9rard habite 1 phare')))
  assert.ok(isSignedIn(await signIn('strict', identifier, 'Ge\u0301rard habite 1 phare')))
})

test('more than 1,024 bytes are answered before anything is hashed', async () => {
  const { passwords } = lido.services
  const browser = await visitAs(lido, 'strict', somebody())
  const answer = browser.submit({ password: 'p'.repeat(1_025) })
  assert.deepEqual(passwords.state(), { running: 0, queued: 0 })
  assert.equal((await answer).status, 400)
})

test('the policy of a pool is checked as it is written', async () => {
  const write = (policy: object) => lido.call('PATCH', '/pools/unasked', { password_policy: policy })
  for (const policy of [
    { min_length: 7 },
    { min_length: 129 },
    { preset: 'none' },
    { breached: true },
    { history: 25 },
    { expires_after_days: 0 },
    { digits: -1 },
    { letters: 2 },
  ])
    assert.equal((await write(policy)).status, 422, JSON.stringify(policy))
  const { body } = await lido.call('GET', '/pools/administrators')
  assert.deepEqual(body.password_policy, {
    min_length: 12,
    preset: null,
    breached: 'refuse',
    history: 0,
    expires_after_days: null,
    lowercase: 0,
    uppercase: 0,
    digits: 0,
    symbols: 0,
  })
})

test('a page where a password is chosen shows how strong it is, by a script of ours', async () => {
  const browser = await visit(lido, 'strict')
  const { html, headers } = await browser.get(`${browser.page.url}?view=register`)
  assert.match(html, /data-strength="field-password" data-least="12" data-words="Very weak password\|[^"]*" hidden/)
  assert.match(html, /aria-live="polite"/)
  assert.match(headers.get('Content-Security-Policy') ?? '', /script-src 'self';/)
  const src = html.match(/<script type="module" src="([^"]+)"><\/script>/)?.[1] ?? ''
  const script = await fetch(new URL(src, lido.url))
  assert.equal(script.status, 200)
  assert.match(script.headers.get('Content-Type') ?? '', /javascript/)
  assert.match(script.headers.get('Cache-Control') ?? '', /immutable/)
  const text = await script.text()
  assert.doesNotMatch(text, /fetch\(|XMLHttpRequest|sendBeacon|WebSocket|localStorage|document\.cookie|https?:/i)
  const proving = await visitAs(lido, 'strict', somebody())
  assert.doesNotMatch(proving.page.html, /<script/)
  for (const path of ['/assets/passwords.json', '/assets/..%2flido.css', '/assets/constructor', '/assets/'])
    assert.equal((await fetch(lido.url + path)).status, 404, path)
})

const signIn = async (workspace: string, identifier: string, secret: string) => {
  const browser = await visitAs(lido, workspace, identifier)
  await browser.submit({ password: secret })
  return browser
}

const dataOf = async (id: string) => {
  const rows = await rowsOf<{ data: credentials.PasswordData }>(
    lido,
    `select data from credentials where user_id = '${id}' and kind = 'password'`,
  )
  assert.ok(rows[0])
  return rows[0].data
}

const age = (id: string, days: number) =>
  rowsOf(
    lido,
    `update credentials set data = data || jsonb_build_object('changed_at', now() - interval '${days} days')
      where user_id = '${id}' returning id`,
  )
