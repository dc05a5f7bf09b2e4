import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { type Browser, openBrowser } from '../browser-testing.ts'
import type { Fetch } from '../platform/fetch.ts'
import { sha256 } from '../platform/secrets.ts'
import { type TestLido, testLido } from '../testing.ts'
import { pingClient } from './ciba.ts'
import {
  basic,
  eventually,
  makePool,
  makeWorkspace,
  password,
  payloadOf,
  post,
  redeem,
  signIn,
  type TestPool,
  type TestWorkspace,
  tokensFrom,
  tokensOf,
  userinfo,
} from './fixtures-testing.ts'
import { makeSigner, type Signer } from './signer-testing.ts'

const cibaGrant = 'urn:openid:params:grant-type:ciba'
const mike = 'mike@example.org'

let lido: TestLido
let people: TestPool
let workspace: TestWorkspace
let other: TestWorkspace
let signer: Signer
const secrets = new Map<string, string>()
// Nobody speaks TLS there: what goes out is looked at in the one test that sends it.
const endpoint = 'https://127.0.0.1:9/ping'

before(async () => {
  lido = await testLido({ EGRESS_ALLOW: '127.0.0.1' })
  signer = await makeSigner()
  const { fetch } = lido.services
  const keys = JSON.stringify(signer.jwks)
  const reply = { status: 200, headers: {}, text: () => keys, json: () => signer.jwks }
  lido.services.fetch = async (url, init) => (url.endsWith('.example/jwks') ? reply : fetch(url, init))
  people = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [people] })
  other = await makeWorkspace(lido, 'w2', { pools: [people] })
  const shop = {
    token_endpoint_auth_method: 'client_secret_basic' as const,
    grant_types: [cibaGrant, 'refresh_token'] as const,
    redirect_uris: [],
  }
  for (const id of ['shop', 'till'])
    secrets.set(
      id,
      await workspace.client(id, {
        ...shop,
        grant_types: [...shop.grant_types],
        backchannel_token_delivery_mode: 'poll',
      }),
    )
  secrets.set(
    'bell',
    await workspace.client('bell', {
      ...shop,
      grant_types: [...shop.grant_types],
      backchannel_token_delivery_mode: 'ping',
      backchannel_client_notification_endpoint: endpoint,
    }),
  )
  await workspace.client('spa')
  for (const name of ['mike', 'anna']) await people.user(`${name}@example.org`)
})
after(async () => {
  await lido.stop()
})

const as = (id: string) => basic(id, secrets.get(id) ?? '')

const begin = (fields: Record<string, string> = {}, id = 'shop') =>
  post(`${workspace.issuer}/backchannel`, { scope: 'openid email', login_hint: mike, ...fields }, as(id))

const beginOk = async (fields: Record<string, string> = {}, id = 'shop') => {
  const answer = await begin(fields, id)
  assert.equal(answer.status, 200, answer.text)
  return String(answer.body.auth_req_id)
}

const poll = async (authReqId: string, id = 'shop') => {
  await lido.services.db.updateTable('artifacts').set({ polledAt: null }).execute()
  return post(`${workspace.issuer}/token`, { grant_type: cibaGrant, auth_req_id: authReqId }, as(id))
}

const countMails = async (to: string) =>
  ((await (await fetch(`${lido.url}/dev/inbox.json?to=${encodeURIComponent(to)}`)).json()) as unknown[]).length

/** Waits until nobody is about to get a mail. */
const quiet = () =>
  eventually(5_000, async () => {
    const { rows } = await sql<{ identifier: string }>`
      select t.identifier from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
      where t.identifier in ('ask_person', 'send_message')`.execute(lido.services.db)
    assert.deepEqual(rows, [])
  })

/** Asks mike for something, and waits for the mail: where its link leads, what it says and what the client was given. */
const beginAndMail = async (fields: Record<string, string> = {}, client = 'shop') => {
  await quiet()
  const before = await countMails(mike)
  const id = await beginOk(fields, client)
  const { link, text } = await lido.message(mike, before)
  return { id, path: new URL(link).pathname, text }
}

const signInAt = async (path: string, email: string, browser = openBrowser(lido.url)): Promise<Browser> => {
  await browser.get(path)
  if (browser.page.step === 'identify') await browser.submit({ identifier: email })
  if (browser.page.step === 'prove') await browser.submit({ password })
  return browser
}

/** Every limit starts anew. */
const forget = () => lido.services.db.deleteFrom('limits').execute()

test('a person allows what a client asks from elsewhere, and it gets tokens once', async () => {
  const { id, path, text } = await beginAndMail({ binding_message: 'Till 4, 17.50 €' })
  assert.equal((await poll(id)).body.error, 'authorization_pending')
  for (const told of ['The shop', 'Till 4, 17.50 €']) assert(text.includes(told), text)
  const browser = await signInAt(path, mike)
  assert.match(browser.page.html, /Till 4, 17\.50/)
  assert.equal((await poll(id)).body.error, 'authorization_pending', 'looking is no answer')
  await browser.submit()
  const answer = await poll(id)
  assert.equal(answer.status, 200, answer.text)
  assert.equal((await userinfo(workspace.issuer, String(answer.body.access_token))).body.email, mike)
  const { amr, acr, aud } = payloadOf(String(answer.body.id_token))
  assert.deepEqual([amr, acr, aud], [['pwd'], 'urn:lido:acr:1fa', 'shop'])
  assert.equal((await poll(id)).body.error, 'invalid_grant')
})

test('whoever refuses is heard, too', async () => {
  const { id } = await beginAndMail()
  const browser = await signInAt(`/w/${workspace.slug}/account/requests`, mike)
  const [link = ''] = /\/w\/w1\/account\/requests\/[0-9a-f-]+/.exec(browser.page.html) ?? []
  await signInAt(link, mike, browser)
  await browser.submit({ decision: 'deny' })
  assert.match(browser.page.html, /The request was refused/)
  assert.equal((await poll(id)).body.error, 'access_denied')
  await browser.get(link)
  assert.equal(browser.page.status, 404)
})

test('only the person who was asked can answer', async () => {
  const { id, path } = await beginAndMail()
  const anna = await signInAt(path, 'anna@example.org')
  assert.equal(anna.page.status, 404, anna.page.html)
  await anna.get(`/w/${workspace.slug}/account/requests`)
  assert.doesNotMatch(anna.page.html, /requests\/[0-9a-f-]{36}/)
  const elsewhere = await signInAt(path.replace('/w1/', '/w2/'), mike)
  assert.equal(elsewhere.page.status, 404)
  assert.equal((await poll(id)).body.error, 'authorization_pending')
  assert(other.issuer)
})

test('a forged form answers nothing', async () => {
  const { id, path } = await beginAndMail()
  const browser = await signInAt(path, mike)
  await browser.post(path, { csrf: 'guessed' })
  assert.equal(browser.page.status, 403)
  await browser.get(path)
  await browser.submit({}, { Origin: 'https://evil.example' })
  assert.equal(browser.page.status, 403)
  assert.equal((await poll(id)).body.error, 'authorization_pending')
})

test('nothing tells a stranger from somebody who does not answer', async () => {
  await forget()
  const known = await begin()
  const unknown = await begin({ login_hint: 'nobody@example.org' })
  const odd = await begin({ login_hint: 'no identifier at all!' })
  const gone = await people.user('gone@example.org')
  await lido.services.db.updateTable('users').set({ status: 'inactive' }).where('id', '=', gone).execute()
  const inactive = await begin({ login_hint: 'gone@example.org' })
  const shape = ({ status, body }: typeof known) => [
    status,
    Object.keys(body).sort(),
    body.expires_in,
    String(body.auth_req_id).length,
  ]
  for (const answer of [unknown, odd, inactive]) {
    assert.deepEqual(shape(answer), shape(known))
    const polled = await poll(String(answer.body.auth_req_id))
    assert.deepEqual([polled.status, polled.body.error], [400, 'authorization_pending'])
  }
})

test('nobody is asked without end, and the client hears nothing of it', async () => {
  await forget()
  const user = await people.user('flood@example.org')
  for (let times = 0; times < 15; times += 1) await beginOk({ login_hint: 'flood@example.org' })
  const waiting = lido.services.db.selectFrom('backchannelRequests').select('id').where('userId', '=', user)
  await eventually(8_000, async () => assert.equal((await waiting.execute()).length, 10))
  await beginAndMail()
  assert.equal((await waiting.execute()).length, 10)
})

test('of twenty answers at once one counts, and of twenty polls one gets tokens', async () => {
  await forget()
  const { id, path } = await beginAndMail()
  const browser = await signInAt(path, mike)
  const csrf = /name="csrf" value="([^"]*)"/.exec(browser.page.html)?.[1] ?? ''
  const Cookie = [...browser.cookies].map(([name, { value }]) => `${name.split('@')[0]}=${value}`).join('; ')
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const body = new URLSearchParams({ csrf, ...(index % 2 ? { decision: 'deny' } : {}) })
      const headers = { Cookie, Accept: 'text/html' }
      return (await fetch(lido.url + path, { method: 'POST', headers, body, redirect: 'manual' })).status
    }),
  )
  assert.deepEqual(answers.sort(), [303, ...Array<number>(19).fill(404)])
  const polls = await Promise.all(
    Array.from({ length: 20 }, () =>
      post(`${workspace.issuer}/token`, { grant_type: cibaGrant, auth_req_id: id }, as('shop')),
    ),
  )
  assert.ok(polls.filter(({ status }) => status === 200).length <= 1)
  assert.ok(polls.every(({ status }) => status === 200 || status === 400))
})

test('a ping tells the client to ask, with the token that it gave', async () => {
  await forget()
  const token = 'a-token-of-the-client'
  const { id, path } = await beginAndMail({ client_notification_token: token }, 'bell')
  const browser = await signInAt(path, mike)
  await browser.submit()
  const { rows } = await sql<{ payload: { sealed: string } }>`
    select payload from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
    where t.identifier = 'ping_client'`.execute(lido.services.db)
  assert.equal(rows.length, 1)
  const sent: unknown[] = []
  const fetch: Fetch = async (url, init) => {
    sent.push({ url, authorization: init?.headers?.Authorization, body: JSON.parse(String(init?.body)) })
    return { status: sent.length > 1 ? 503 : 204, headers: {}, text: () => '', json: () => undefined }
  }
  const ping = pingClient({ ...lido.services, fetch })
  await ping(rows[0]?.payload)
  assert.deepEqual(sent, [{ url: endpoint, authorization: `Bearer ${token}`, body: { auth_req_id: id } }])
  await assert.rejects(ping(rows[0]?.payload), /503/, 'what is not taken is tried again')
  assert.equal((await poll(id, 'bell')).status, 200)
})

test('a request is of its client, and what the database keeps of it is worth nothing', async () => {
  await forget()
  const token = 'another-token-of-the-client'
  const id = await beginOk({ client_notification_token: token }, 'bell')
  for (const wrong of [id, `#${sha256(id)}`, sha256(id)])
    assert.equal((await poll(wrong, wrong === id ? 'till' : 'bell')).body.error, 'invalid_grant', wrong)
  const kept = JSON.stringify([
    await lido.services.db.selectFrom('artifacts').selectAll().execute(),
    await lido.services.db.selectFrom('backchannelRequests').selectAll().execute(),
    lido.lines,
  ])
  assert(!kept.includes(id) && !kept.includes(token))
})

test('an ID token names the person; one of another client or another kind of hint does not', async () => {
  await forget()
  const { id } = await tokensOf(lido, workspace, mike)
  const foreign = await begin({ login_hint: '', id_token_hint: id })
  assert.equal(foreign.status, 400)
  const mine = await beginAndMail()
  await (await signInAt(mine.path, mike)).submit()
  const own = String((await poll(mine.id)).body.id_token)
  assert.equal((await begin({ login_hint: '', id_token_hint: own })).status, 200)
  for (const fields of [
    { login_hint: '', login_hint_token: 'x' },
    { login_hint: '' },
    { id_token_hint: own },
    { binding_message: '<script>' },
    { binding_message: 'x'.repeat(61) },
    { requested_expiry: '-1' },
  ] as Record<string, string>[])
    assert.equal((await begin(fields)).status, 400, JSON.stringify(fields))
})

test('an ID token with a pairwise subject names the person to its client, and to nobody else', async () => {
  await forget()
  const pair = (id: string, host: string) =>
    workspace.client(id, {
      token_endpoint_auth_method: 'private_key_jwt',
      subject_type: 'pairwise',
      jwks_uri: `https://${host}/jwks`,
      sector_identifier_uri: `https://${host}/sector`,
      grant_types: [cibaGrant, 'authorization_code'],
      backchannel_token_delivery_mode: 'poll',
    })
  await pair('pair', 'one.example')
  await pair('elsewhere', 'two.example')
  const assertion = (id: string) => signer.assertion(workspace.issuer, id)
  const beginAs = async (id: string, id_token_hint: string) =>
    post(`${workspace.issuer}/backchannel`, { scope: 'openid', id_token_hint, ...(await assertion(id)) })
  const idTokenOf = async (client_id: string) => {
    const signedIn = await signIn(lido, workspace, mike, { client_id })
    return tokensFrom(await redeem(workspace.issuer, signedIn, { client_id, ...(await assertion(client_id)) })).id
  }
  const id = await idTokenOf('pair')
  const { sub, sub_ref } = payloadOf(id)
  const person = await lido.services.db
    .selectFrom('identifiers')
    .select('userId')
    .where('value', '=', mike)
    .executeTakeFirstOrThrow()
  assert.notEqual(sub, person.userId)
  assert.equal(JSON.stringify(payloadOf(id)).includes(person.userId), false)
  assert.notEqual(payloadOf(await idTokenOf('pair')).sub_ref, sub_ref, 'sealed anew each time')
  await quiet()
  const before = await countMails(mike)
  const begun = await beginAs('pair', id)
  assert.equal(begun.status, 200, begun.text)
  const { link } = await lido.message(mike, before)
  await (await signInAt(new URL(link).pathname, mike)).submit()
  const asked = { grant_type: cibaGrant, auth_req_id: String(begun.body.auth_req_id) }
  const answer = await post(`${workspace.issuer}/token`, { ...asked, ...(await assertion('pair')) })
  assert.equal(answer.status, 200, answer.text)
  assert.equal(payloadOf(String(answer.body.id_token)).sub, sub)
  // Of another client, and with the subject as it would be written for everybody.
  assert.equal((await beginAs('elsewhere', id)).status, 400)
  const [header, , signature] = id.split('.')
  const claims = Buffer.from(JSON.stringify({ ...payloadOf(id), sub: person.userId })).toString('base64url')
  assert.equal((await beginAs('pair', [header, claims, signature].join('.'))).status, 400)
  assert.equal('sub_ref' in payloadOf((await tokensOf(lido, workspace, mike)).id), false)
})

test('a claim that is asked for by itself is shown to the person, and told once they allow it', async () => {
  await forget()
  const claims = JSON.stringify({ id_token: { given_name: null }, userinfo: { family_name: null } })
  const { id, path } = await beginAndMail({ scope: 'openid', claims })
  const browser = await signInAt(path, mike)
  for (const told of ['Given name', 'Family name']) assert(browser.page.html.includes(told), told)
  await browser.submit()
  const answer = await poll(id)
  assert.equal(payloadOf(String(answer.body.id_token)).given_name, 'Mike')
  const { body } = await userinfo(workspace.issuer, String(answer.body.access_token))
  assert.deepEqual([body.family_name, 'given_name' in body], ['Miller', false])
})

test('whoever the operator has to be asked about at a sign-in is not asked by an ID token either', async () => {
  await forget()
  const mine = await beginAndMail()
  await (await signInAt(mine.path, mike)).submit()
  const own = String((await poll(mine.id)).body.id_token)
  const { db } = lido.services
  const ask = JSON.stringify({ url: 'https://app.example/ask', timeout_seconds: 600 })
  const change = (postAuthenticationApplication: string | null) =>
    db.updateTable('connections').set({ postAuthenticationApplication }).where('workspaceId', '=', workspace.id)
  const waiting = async () => (await db.selectFrom('backchannelRequests').select('id').execute()).length
  await change(ask).execute()
  await db.updateTable('workspaces').set({ updatedAt: new Date() }).where('id', '=', workspace.id).execute()
  const before = await waiting()
  const id = await eventually(5_000, async () => {
    const { status, body } = await begin({ login_hint: '', id_token_hint: own })
    assert.equal(status, 200)
    return String(body.auth_req_id)
  })
  await quiet()
  assert.equal(await waiting(), before)
  assert.equal((await poll(id)).body.error, 'authorization_pending')
  await change(null).execute()
})

test('only clients that may, and that authenticate, ask', async () => {
  const fields = { scope: 'openid', login_hint: mike }
  assert.equal((await post(`${workspace.issuer}/backchannel`, { ...fields, client_id: 'spa' })).status, 400)
  assert.equal((await post(`${workspace.issuer}/backchannel`, { ...fields, client_id: 'shop' })).status, 401)
})
