import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { system } from '../directory/audit.ts'
import * as resources from '../directory/resources.ts'
import {
  ask,
  basic,
  eventually,
  makePool,
  makeWorkspace,
  payloadOf,
  post,
  redeem,
  refresh,
  signIn,
  type TestWorkspace,
  tokensFrom,
} from '../oidc/fixtures-testing.ts'
import { type TestLido, testLido } from '../testing.ts'

const bank = 'https://bank.example.org'
const shop = 'https://shop.example.org'

let lido: TestLido
let workspace: TestWorkspace
let machine: Record<string, string>

const schema = {
  type: 'object',
  properties: {
    type: { const: 'payment' },
    amount: {
      title: 'Amount',
      type: 'object',
      properties: { value: { type: 'string', pattern: '^[0-9.]+$' }, currency: { title: 'Currency', type: 'string' } },
      required: ['value', 'currency'],
      additionalProperties: false,
    },
    instant: { title: 'At once', type: 'boolean' },
    actions: { type: 'array', items: { type: 'string' } },
  },
  required: ['type', 'amount'],
  additionalProperties: false,
}
const payment = { type: 'payment', amount: { value: '123.50', currency: 'EUR' }, instant: true, actions: ['a', 'b'] }

before(async () => {
  lido = await testLido()
  const pool = await makePool(lido, 'p1')
  workspace = await makeWorkspace(lido, 'w1', { pools: [pool] })
  await pool.user('mike@example.org')
  const scopes = [{ name: 'pay', description: { en: 'Pay in your name', de: 'In Ihrem Namen zahlen' } }]
  const payments = { type: 'payment', schema, description: { en: 'Make a payment', de: 'Eine Zahlung' } }
  await make({ identifier: bank, name: 'Bank', scopes, authorization_details_types: [payments, { type: 'account' }] })
  await make({
    identifier: shop,
    name: 'Shop',
    authorization_details_types: [{ type: 'order' }],
    token_format: 'opaque',
  })
  const both = { [bank]: ['pay'], [shop]: [] }
  await workspace.client('third', { first_party: false, resources: both })
  await workspace.client('narrow', { resources: both, authorization_details_types: ['account'] })
  await workspace.client('outside', { resources: { [shop]: [] } })
  await workspace.client('spa', { resources: both })
  const machineOnly = {
    token_endpoint_auth_method: 'client_secret_basic' as const,
    grant_types: ['client_credentials' as const],
    redirect_uris: [],
    post_logout_redirect_uris: [],
  }
  machine = basic('machine', await workspace.client('machine', { ...machineOnly, resources: both }))
})
after(() => lido.stop())

const make = (input: Parameters<typeof resources.create>[3]) =>
  lido.services.db
    .transaction()
    .execute((trx) => resources.create(trx, lido.services.clock.now(), workspace.id, input, system))

const asking = (details: unknown, more: Record<string, string> = {}) => ({
  scope: 'openid offline_access pay',
  resource: bank,
  authorization_details: typeof details === 'string' ? details : JSON.stringify(details),
  ...more,
})

const errorOf = async (params: Record<string, string>) => {
  const { at } = await signIn(lido, workspace, 'mike@example.org', params)
  return at.searchParams.get('error')
}

test('discovery says the types, and only where there are any', async () => {
  const told = await ask(`${workspace.issuer}/.well-known/openid-configuration`)
  assert.deepEqual((told.body.authorization_details_types_supported as string[]).toSorted(), [
    'account',
    'order',
    'payment',
  ])
  const other = await makeWorkspace(lido, 'w2', { pools: [] })
  const none = await ask(`${other.issuer}/.well-known/openid-configuration`)
  assert.equal('authorization_details_types_supported' in none.body, false)
})

test('a person sees every detail in plain words, each time, and tokens say what they agreed to', async () => {
  const params = { client_id: 'third', ...asking([payment]), ui_locales: 'en' }
  const first = await signIn(lido, workspace, 'mike@example.org', { ...params, prompt: 'consent' })
  const { html, step } = first.browser.page
  assert.equal(step, 'consent', html)
  for (const text of ['Make a payment', 'Amount, value', '123.50', 'Amount, Currency', 'EUR', 'At once', 'yes', 'a, b'])
    assert.ok(html.includes(text), text)
  assert.match(html, /Pay in your name/)
  await first.browser.submit({ decision: 'allow' })
  const code = new URL(first.browser.page.url).searchParams.get('code') ?? ''
  const answer = await redeem(workspace.issuer, { code, verifier: first.verifier }, { client_id: 'third' })
  assert.equal(answer.status, 200, answer.text)
  assert.deepEqual(answer.body.authorization_details, [payment])
  assert.deepEqual(payloadOf(String(answer.body.access_token)).authorization_details, [payment])
  const again = await signIn(lido, workspace, '', { ...params, ui_locales: 'de' }, first.browser)
  assert.equal(again.browser.page.step, 'consent')
  assert.match(again.browser.page.html, /Eine Zahlung/)
  await again.browser.submit({ decision: 'deny' })
  assert.equal(new URL(again.browser.page.url).searchParams.get('error'), 'access_denied')
  const { authorization_details: _, ...plain } = params
  const without = await signIn(lido, workspace, '', plain, first.browser)
  assert.ok(without.code, without.browser.page.html)
  const later = await redeem(workspace.issuer, without, { client_id: 'third' })
  assert.equal(later.body.authorization_details, undefined)
})

test('what somebody writes into a detail is text on the page', async () => {
  const evil = { ...payment, actions: ['<script>alert(1)</script>', '{{7*7}}'] }
  const { browser } = await signIn(lido, workspace, 'mike@example.org', { client_id: 'third', ...asking([evil]) })
  assert.equal(browser.page.step, 'consent')
  assert.doesNotMatch(browser.page.html, /<script>alert/)
  assert.match(browser.page.html, /\{\{7\*7\}\}/)
})

test('a refresh keeps the details, can ask for fewer, and never for others', async () => {
  const account = { type: 'account' }
  const signedIn = await signIn(lido, workspace, 'mike@example.org', asking([payment, account]))
  assert.ok(signedIn.code, signedIn.browser.page.html)
  const tokens = tokensFrom(await redeem(workspace.issuer, signedIn))
  assert.deepEqual(payloadOf(tokens.access).authorization_details, [payment, account])
  const fewer = await refresh(workspace.issuer, tokens.refresh, {
    resource: bank,
    authorization_details: JSON.stringify([account]),
  })
  assert.equal(fewer.status, 200, fewer.text)
  assert.deepEqual(fewer.body.authorization_details, [account])
  const rotated = String(fewer.body.refresh_token)
  const other = { ...payment, amount: { value: '9999', currency: 'EUR' } }
  const wider = { resource: bank, authorization_details: JSON.stringify([other]) }
  const more = await refresh(workspace.issuer, rotated, wider)
  assert.deepEqual([more.status, more.body.error], [400, 'invalid_authorization_details'])
})

test('a token tells only the details of its own resource, and introspection tells them too', async () => {
  const both = new URLSearchParams(asking([payment, { type: 'order' }]))
  both.append('resource', shop)
  const { browser, verifier } = await signIn(lido, workspace, 'mike@example.org', { prompt: 'login' })
  const { challenge, own } = await pkce()
  for (const [name, value] of Object.entries({
    client_id: 'spa',
    response_type: 'code',
    redirect_uri: 'https://app.example/callback',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  }))
    both.set(name, value)
  await browser.get(`${workspace.issuer}/authorize?${both}`)
  const code = new URL(browser.page.url).searchParams.get('code') ?? ''
  assert.ok(code && verifier, browser.page.html)
  const answer = await redeem(workspace.issuer, { code, verifier: own }, { resource: shop })
  assert.equal(answer.status, 200, answer.text)
  const token = String(answer.body.access_token)
  const told = await post(`${workspace.issuer}/introspect`, { token, client_id: 'spa' })
  assert.deepEqual(told.body.authorization_details, [{ type: 'order' }])
  const next = await refresh(workspace.issuer, String(answer.body.refresh_token), { resource: bank })
  assert.deepEqual(next.body.authorization_details, [payment], next.text)
})

test('a machine gets what it asks for, by the same rules', async () => {
  const token = (details: unknown, more: Record<string, string> = {}) =>
    post(
      `${workspace.issuer}/token`,
      { grant_type: 'client_credentials', resource: bank, authorization_details: JSON.stringify(details), ...more },
      machine,
    )
  assert.deepEqual((await token([payment])).body.authorization_details, [payment])
  assert.equal((await token([{ type: 'order' }])).body.error, 'invalid_authorization_details')
  assert.equal((await token([{ type: 'unknown' }])).body.error, 'invalid_authorization_details')
})

test('details that do not fit are refused before anybody is asked', async () => {
  const wrong: [string, Record<string, string>][] = [
    ['no JSON', asking('[{')],
    ['no list', asking({ type: 'payment' })],
    ['no type', asking([{ amount: 1 }])],
    ['an unknown type', asking([{ type: 'unknown' }])],
    ['a type that every object has', asking([{ type: 'constructor' }])],
    ['a missing field', asking([{ type: 'payment' }])],
    ['a field too many', asking([{ ...payment, more: 1 }])],
    ['another value', asking([{ ...payment, amount: { value: 'a lot', currency: 'EUR' } }])],
    ['a type that the client may not ask for', asking([payment], { client_id: 'narrow' })],
    ['a resource that the client may not ask for', asking([payment], { client_id: 'outside', resource: shop })],
    ['a type of another resource', asking([{ type: 'order' }])],
    ['too many', asking(Array.from({ length: 11 }, () => ({ type: 'account' })))],
    ['too much', asking([{ type: 'account', text: 'x'.repeat(9000) }])],
    ['a character that is none', asking([{ type: 'account', text: 'a\0b' }])],
    ['half of a character', asking('[{"type":"account","text":"\\ud800"}]')],
  ]
  for (const [what, params] of wrong) assert.equal(await errorOf(params), 'invalid_authorization_details', what)
  const { resource: _, ...bare } = asking([payment])
  assert.equal(await errorOf(bare), 'invalid_authorization_details')
})

test('a type that nobody declares any more makes no client unusable', async () => {
  const { db, clock } = lido.services
  const [before] = (await resources.all(db, workspace.id)).filter(({ identifier }) => identifier === bank)
  assert.ok(before)
  const wished = { ...resources.settingsOf(before), authorization_details_types: [] }
  await db.transaction().execute((trx) => resources.update(trx, clock.now(), before, wished, system))
  await eventually(4000, async () => assert.equal(await errorOf(asking([payment])), 'invalid_authorization_details'))
  const plain = { client_id: 'narrow', scope: 'openid' }
  assert.ok((await signIn(lido, workspace, 'mike@example.org', plain)).code)
})

const pkce = async () => {
  const own = `${crypto.randomUUID()}${crypto.randomUUID()}`
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(own))
  return { own, challenge: Buffer.from(digest).toString('base64url') }
}
