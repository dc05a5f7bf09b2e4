import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { csrfOf, valueAt } from './forms-testing.ts'

let lido: AdminLido
let owner: ConsoleBrowser
let poolId: string

const imports = '/console/pools/guests/imports'
before(async () => {
  lido = await adminLido()
  const user_schema = { type: 'object', properties: { given_name: { type: 'string' } } }
  poolId = String((await lido.call('POST', '/pools', { slug: 'guests', name: 'Guests', user_schema })).body.id)
  await lido.call('POST', '/pools', { slug: 'others', name: 'Others' })
  owner = await openConsole(lido)
})
after(() => lido.stop())

interface Sent {
  text?: string
  name?: string
  fields?: Record<string, string>
  csrf?: string
  headers?: Record<string, string>
  /** The whole body, where it is to be an odd one. */
  body?: string
}

const boundary = 'a-boundary-of-this-test'
const partsOf = ({ text = '', name = 'people.csv', fields = { dry_run: 'true' } }: Sent): string =>
  [
    ...Object.entries(fields).map(
      ([key, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${key}"\r\n\r\n${value}\r\n`,
    ),
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: text/plain\r\n\r\n${text}\r\n--${boundary}--\r\n`,
  ].join('')

/** Uploads as a browser does; answers where that led and what was shown. */
const upload = async (browser: ConsoleBrowser, sent: Sent) => {
  const cookie = [...browser.cookies]
    .filter(([, { path }]) => path === '/')
    .map(([key, { value }]) => `${key.split('@')[0]}=${value}`)
  const token = sent.csrf ?? csrfOf(browser)
  const response = await fetch(`${lido.url}${imports}/~new?csrf=${encodeURIComponent(token)}`, {
    method: 'POST',
    redirect: 'manual',
    headers: {
      Cookie: cookie.join('; '),
      Origin: lido.url,
      'Content-Type': `multipart/form-data; boundary=${boundary}`,
      ...sent.headers,
    },
    body: sent.body ?? partsOf(sent),
  })
  return { status: response.status, to: response.headers.get('Location') ?? '', html: await response.text() }
}

const list = async () => (await lido.call('GET', '/pools/guests/imports?limit=200')).body.items ?? []
const finish = async (to: string) => {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await setTimeout(50)) {
    await owner.get(to)
    if (!owner.page.html.includes('http-equiv="refresh"')) return owner.page.html
  }
  throw new Error('The import does not end.')
}

test('tries a file first, tells of each row why it would fail, and then runs it for real', async () => {
  await owner.get(`${imports}/~new`)
  assert.equal(valueAt(owner, 'dry_run'), 'true')
  const text = 'email,given_name,profile.given_name\nada@example.org,,Ada\nnobody,,X\n'
  const tried = await upload(owner, {
    text,
    fields: { dry_run: 'true', on_duplicate: 'update', columns: 'given_name =' },
  })
  assert.equal(tried.status, 303, tried.html)
  const html = await finish(tried.to)
  assert.match(html, /Would be made<\/dt><dd>1</)
  assert.match(html, /<th scope="row" class="count">2<\/th><td><div>email is none</)
  assert.deepEqual((await lido.call('GET', '/pools/guests/users')).body.items, [])
  await owner.get(owner.link('Run it for real'))
  assert.equal(valueAt(owner, 'dry_run'), undefined)
  assert.equal(valueAt(owner, 'on_duplicate'), 'update')
  const run = await upload(owner, { text, fields: { on_duplicate: 'update', columns: 'given_name =' } })
  assert.match(await finish(run.to), /Made<\/dt><dd>1</)
  assert.equal((await lido.call('GET', '/pools/guests/users')).body.items?.length, 1)
})

test('looks again by itself while an import runs, until told to stop', async () => {
  const text = ['email', ...Array.from({ length: 3000 }, (_, index) => `many${index}@example.org`)].join('\n')
  await owner.get(`${imports}/~new`)
  const { to } = await upload(owner, { text })
  await owner.get(to)
  assert.match(owner.page.html, /<meta http-equiv="refresh" content="2">/)
  assert.match(owner.page.html, /<progress [^>]*max="100"/)
  await owner.get(`${to}?refresh=off`)
  assert.doesNotMatch(owner.page.html, /http-equiv="refresh"/)
  assert.match(await finish(to), /3000 of 3000 rows/)
})

test('counts the reasons, and lists the rows a hundred at a time', async () => {
  const text = ['email', ...Array.from({ length: 130 }, () => 'nobody')].join('\n')
  await owner.get(`${imports}/~new`)
  const { to } = await upload(owner, { text })
  const html = await finish(to)
  assert.match(html, /email is none<\/span><span class="soft">130 rows/)
  assert.equal(html.match(/<th scope="row" class="count">/g)?.length, 100)
  await owner.get(owner.link('Next page'))
  assert.equal(owner.page.html.match(/<th scope="row" class="count">/g)?.length, 30)
  await owner.get(`${to}?from=-1`)
  assert.equal(owner.page.status, 200)
})

test('reads NDJSON by the name of the file, and no other', async () => {
  await owner.get(`${imports}/~new`)
  const { to } = await upload(owner, { name: 'people.jsonl', text: '{"email":"line@example.org"}\n' })
  assert.match(await finish(to), /1 of 1 rows/)
  await owner.get(`${imports}/~new`)
  const other = await upload(owner, { name: 'people.xlsx', text: 'PK' })
  assert.equal(other.status, 422)
  assert.match(other.html, /id="error-file">Its name ends with neither/)
})

test('takes another system’s file as it is, and tells what was left out of it', async () => {
  await owner.get(`${imports}/~new`)
  const text = JSON.stringify([
    { user_id: '1', email: 'auth0@example.org', given_name: 'Ada', user_metadata: { theme: 'dark' } },
    { email: 'md4@example.org', custom_password_hash: { algorithm: 'md4', hash: { value: 'x' } } },
  ])
  const fields = { dry_run: 'true', on_duplicate: 'skip', preset: 'auth0', columns: '' }
  const unsaid = await upload(owner, { name: 'users.json', text, fields: { ...fields, preset: '' } })
  assert.equal(unsaid.status, 422)
  assert.match(unsaid.html, /id="error-file">Its name .* say whose JSON it is/)
  const { to } = await upload(owner, { name: 'users.json', text, fields })
  const html = await finish(to)
  assert.match(html, /<dt>From<\/dt><dd>Auth0</)
  assert.match(html, /<code dir="auto">user_metadata\.theme<\/code><span class="soft">1 row</)
  assert.match(
    html,
    /<th scope="row" class="count">2<\/th><td><div>The hash algorithm &quot;md4&quot; is not supported/,
  )
  await owner.get(owner.link('Run it for real'))
  assert.match(owner.page.html, /<option value="auth0" selected/)
  const odd = await upload(owner, { text: 'email\na@example.org', fields: { ...fields, preset: 'okta' } })
  assert.equal(odd.status, 422)
  assert.match(odd.html, /name="preset"/)
})

test('says what is wrong at the form, and keeps what was chosen', async () => {
  await owner.get(`${imports}/~new`)
  const before = await list()
  for (const [sent, said] of [
    [{ text: '', name: '' }, /Choose a file/],
    [{ text: 'email\n' }, /There is no row to import/],
    [{ text: 'email,email\n' }, /is there twice/],
    [{ text: 'email\n"a' }, /cannot be read/],
    [{ text: 'email\na@example.org', fields: { columns: 'nothing of the sort' } }, /no equals sign/],
    [{ text: 'email\na@example.org', fields: { columns: 'a = b' } }, /no such column/],
  ] as const) {
    const { status, html } = await upload(owner, {
      ...sent,
      fields: { on_duplicate: 'fail', ...('fields' in sent ? sent.fields : {}) },
    })
    assert.equal(status, 422, html)
    assert.match(html, said)
    assert.match(html, /<option value="fail" selected/)
  }
  assert.equal((await list()).length, before.length)
})

test('a body that breaks off, has a field twice or is no form leaves nothing behind', async () => {
  await owner.get(`${imports}/~new`)
  const before = (await list()).length
  const whole = partsOf({ text: 'email\nbroken@example.org\n' })
  const twice = partsOf({ fields: { dry_run: 'true' } }).split('--a-boundary')[1] ?? ''
  for (const [body, headers] of [
    [whole.slice(0, whole.lastIndexOf(`\r\n--${boundary}--`)), {}],
    [`--a-boundary${twice}${whole}`, {}],
    [whole, { 'Content-Type': 'text/csv' }],
    [whole, { 'Content-Type': 'multipart/form-data' }],
    [whole, { 'Content-Type': 'multipart/form-data; boundary=another' }],
  ] as [string, Record<string, string>][]) {
    const { status } = await upload(owner, { body, headers })
    assert.ok(status >= 400 && status < 500, `${status}: ${body.slice(0, 200)}`)
  }
  assert.equal((await list()).length, before)
})

test('nothing is read of a form without its token, from another origin or with another session’s token', async () => {
  const stranger = await openConsole(lido)
  await stranger.get(`${imports}/~new`)
  await owner.get(`${imports}/~new`)
  const before = (await list()).length
  const text = 'email\nforged@example.org\n'
  for (const sent of [
    { text, csrf: '' },
    { text, csrf: csrfOf(stranger) },
    { text, csrf: '', fields: { csrf: csrfOf(owner) } },
    { text, headers: { Origin: 'https://evil.example' } },
    { text, headers: { 'Sec-Fetch-Site': 'cross-site' } },
  ] as Sent[])
    assert.equal((await upload(owner, sent)).status, 403, JSON.stringify(sent))
  assert.equal((await list()).length, before)
})

test('whoever may not import or export sees neither, and a limited operator no other pool', async () => {
  const helper = await openConsole(lido, { role: 'helpdesk', pools: [poolId] })
  await helper.get('/console/pools/guests/users')
  assert.doesNotMatch(helper.page.html, /\/imports"|\/exports"/)
  for (const path of ['/imports', '/imports/~new', '/exports', '/exports/~hashes']) {
    await helper.get(`/console/pools/guests${path}`)
    assert.equal(helper.page.status, 403, path)
  }
  assert.equal((await upload(helper, { text: 'email\na@example.org' })).status, 403)
  const limited = await openConsole(lido, { role: 'admin', pools: [poolId] })
  await limited.get('/console/pools/others/imports')
  assert.equal(limited.page.status, 404)
  const viewer = await openConsole(lido, { role: 'viewer' })
  await viewer.get(imports)
  assert.doesNotMatch(viewer.page.html, /New import/)
  await viewer.get('/console/pools/guests/exports')
  assert.equal(viewer.page.status, 200)
  assert.doesNotMatch(viewer.page.html, /~hashes/)
  await viewer.get('/console/pools/guests/exports/~hashes')
  assert.equal(viewer.page.status, 403)
})

test('hands out every user as a file, with hashes only from the page that warns', async () => {
  const person = { mode: 'set_credentials', identifiers: [{ type: 'email', value: 'out@example.org' }] }
  await lido.call('POST', '/pools/guests/users', { ...person, password: 'correct horse battery staple' })
  const exports = '/console/pools/guests/exports'
  await owner.get(exports)
  const csrf = csrfOf(owner)
  await owner.post(`${exports}/~download`, { csrf, format: 'csv' })
  assert.match(owner.page.headers.get('Content-Disposition') ?? '', /attachment; filename="guests\.csv"/)
  assert.match(owner.page.html, /out@example\.org/)
  assert.doesNotMatch(owner.page.html, /argon2/)
  await owner.post(`${exports}/~download`, { csrf, format: 'ndjson' })
  assert.match(owner.page.headers.get('Content-Type') ?? '', /ndjson/)
  await owner.post(`${exports}/~hashes`, { csrf, format: 'ndjson' })
  assert.match(owner.page.html, /argon2id/)
  await owner.post(`${exports}/~hashes`, { csrf, format: 'auth0' })
  assert.match(owner.page.headers.get('Content-Disposition') ?? '', /filename="guests\.auth0\.json"/)
  assert.match(owner.page.html, /custom_password_hash/)
  await owner.post(`${exports}/~download`, { csrf, format: 'cognito' })
  assert.match(owner.page.html, /^cognito:username,/)
  await owner.get(`${exports}/~hashes`)
  assert.match(owner.page.html, /<option value="keycloak">/)
  assert.doesNotMatch(owner.page.html, /<option value="cognito">/)
  await owner.post(`${exports}/~download`, { format: 'csv' })
  assert.equal(owner.page.status, 403)
  await owner.get(`${exports}/~download`)
  assert.equal(owner.page.status, 405)
})

test('a browser that goes away in the middle of a file leaves nothing behind, and the server goes on', async () => {
  await owner.get(`${imports}/~new`)
  const before = (await list()).length
  const cookie = [...owner.cookies].filter(([, { path }]) => path === '/')
  const leaving = new AbortController()
  const rows = async function* () {
    yield new TextEncoder().encode(partsOf({ text: 'email\nfirst@example.org\n' }).split(`\r\n--${boundary}--`)[0])
    await setTimeout(200)
    leaving.abort()
    yield new TextEncoder().encode('never@example.org\n')
  }
  const going = fetch(`${lido.url}${imports}/~new?csrf=${encodeURIComponent(csrfOf(owner))}`, {
    method: 'POST',
    headers: {
      Cookie: cookie.map(([key, { value }]) => `${key.split('@')[0]}=${value}`).join('; '),
      Origin: lido.url,
      'Content-Type': `multipart/form-data; boundary=${boundary}`,
    },
    body: ReadableStream.from(rows()),
    duplex: 'half',
    signal: leaving.signal,
  })
  await assert.rejects(going)
  for (const deadline = Date.now() + 5_000; (await list()).length > before; await setTimeout(50))
    assert.ok(Date.now() < deadline, 'the import stays')
  await owner.get(imports)
  assert.equal(owner.page.status, 200)
})

test('takes a file that is larger than what is in memory of it', async () => {
  await owner.get(`${imports}/~new`)
  const row = (index: number) => `row${index}@example.org,${'x'.repeat(200)}`
  const text = ['email,profile.given_name', ...Array.from({ length: 20_000 }, (_, index) => row(index))].join('\n')
  const { to } = await upload(owner, { text })
  await owner.get(to)
  assert.match(owner.page.html, /of 20000 rows/)
})
