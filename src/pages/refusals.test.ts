import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Pool } from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  codeOf,
  countOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  redeem,
  redirectUri,
  rowsOf,
  token,
  visit,
  visitAs,
} from './fixtures-testing.ts'

let lido: TestLido
let pool: Pool
before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'residents', {
    self_registration: true,
    sign_in_methods: ['password', 'email_code'],
    code_policy: { length: 10, lifetime_seconds: 600, attempts: 5 },
  })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
})
after(() => lido.stop())

/** Waits until so many refusals are kept: they are written just after their answers are out. */
const kept = async (count: number): Promise<void> => {
  for (let tries = 0; (await countOf(lido, 'traces')) < count; tries += 1) {
    assert.ok(tries < 100, `${await countOf(lido, 'traces')} of ${count} refusals are kept`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('A39: nothing that was typed, sent or given is kept', async () => {
  const secrets: string[] = []
  const secret = (text: string) => {
    secrets.push(text)
    return text
  }
  const email = secret('canary-name@example.org')
  const newcomer = await visit(lido, 'acme', { state: secret('canary-state'), nonce: secret('canary-nonce') })
  await newcomer.get(newcomer.link('Create an account'))
  await newcomer.submit({ identifier: email, password: secret('canary') })
  await newcomer.submit({ identifier: email, password: secret('canary password of a newcomer') })
  await newcomer.submit({ code: secret('canary-registration') })
  await newcomer.submit({ code: secret((await lido.message(email)).code) })
  secret(codeOf(newcomer))
  const { body } = await redeem(lido, 'acme', newcomer)
  for (const name of ['access_token', 'id_token', 'refresh_token']) secret(body[name] ?? '')
  await redeem(lido, 'acme', newcomer)

  const again = await visitAs(lido, 'acme', email)
  await again.submit({ password: secret('canary wrong password') })
  await again.get(again.link('Sign in another way'))
  await again.submit({ method: 'email_code' })
  await again.submit({ code: secret('canary-wrong-code') })
  await again.submit({ code: secret((await lido.message(email, 1)).code) })
  const form = { grant_type: 'refresh_token', client_id: 'app' }
  await token(lido.url, 'acme', { ...form, refresh_token: secret('canary-refresh') })
  await token(lido.url, 'acme', { ...form, grant_type: secret('canary-grant-type') })
  const client = { client_id: secret('canary-client'), client_secret: secret('canary-secret') }
  await token(lido.url, 'acme', { ...form, ...client })
  const query = new URLSearchParams({
    client_id: 'app',
    id_token_hint: body.id_token ?? '',
    login_hint: secret('canary-login-hint'),
    prompt: secret('canary-prompt'),
    scope: `openid ${secret('canary-scope')}`,
    redirect_uri: `${redirectUri}?x=${secret('canary-query')}#${secret('canary-fragment')}`,
  })
  await fetch(`${lido.url}/w/acme/authorize?${query}`)
  query.set('redirect_uri', redirectUri)
  await fetch(`${lido.url}/w/acme/authorize?${query}`, { redirect: 'manual' })
  await fetch(`${lido.url}/w/acme/${secret('canary-path')}?${query}`)
  await fetch(`${lido.url}/w/acme/signin/${secret('canary-uid')}`)
  await fetch(`${lido.url}/w/acme/logout?id_token_hint=${secret('canary-hint')}&client_id=app`)

  await kept(9)
  await rowsOf(
    lido,
    `insert into trails select workspace_id, id, pool_id, data -> 'trail', now(), now() from attempts on conflict do nothing`,
  )
  assert.ok((await countOf(lido, `trails where trail @> '[{"why": "wrong_password"}]'`)) > 0)
  for (const table of ['traces', 'trails', 'events'])
    for (const { row } of await rowsOf<{ row: string }>(lido, `select t::text as row from ${table} t`))
      for (const text of secrets) assert.ok(!row.includes(text), `${text} is in ${table}: ${row}`)
})

test('a flood of errors writes few rows, and is counted', async () => {
  const before = await countOf(lido, 'traces')
  const began = Date.now()
  const wrong = `${lido.url}/w/acme/authorize?client_id=nobody`
  for (let round = 0; round < 10; round += 1)
    await Promise.all(
      Array.from({ length: 40 }, async () => {
        const response = await fetch(wrong, { headers: { Accept: 'text/html' } })
        assert.equal(response.status, 400)
        await response.arrayBuffer()
      }),
    )
  const seconds = (Date.now() - began) / 1000
  await new Promise((resolve) => setTimeout(resolve, 300))
  const written = (await countOf(lido, 'traces')) - before
  assert.ok(written >= 1 && written <= 32 + 5 * seconds, `${written} rows in ${seconds} s`)
  const metrics = await (await fetch(`${lido.url}/metrics`)).text()
  assert.ok(Number(metrics.match(/lido_refusals_total\{outcome="dropped"\} (\d+)/)?.[1]) >= 400 - written)
})

test('an answer does not wait for its reason to be kept, nor fail with it', async () => {
  await rowsOf(lido, 'alter table traces rename to elsewhere')
  const failures = async () =>
    Number(
      (await (await fetch(`${lido.url}/metrics`)).text()).match(/lido_refusals_total\{outcome="failed"\} (\d+)/)?.[1] ??
        0,
    )
  for (let tries = 0; (await failures()) === 0; tries += 1) {
    assert.ok(tries < 50)
    const browser = await visit(lido, 'acme', { redirect_uri: 'https://evil.example/' })
    assert.deepEqual([browser.page.status, browser.page.step], [400, 'problem'])
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await rowsOf(lido, 'alter table elsewhere rename to traces')
})

test('what a client asks in passing is not a refusal', async () => {
  const quiet = await makeWorkspace(lido, 'quiet', [{ pool }])
  await makeClient(lido, quiet.id)
  await makeUser(lido, pool, 'asked@example.org')
  const { page } = await visit(lido, 'quiet', { prompt: 'none' })
  assert.match(page.url, /error=login_required/)
  const browser = await visitAs(lido, 'quiet', 'asked@example.org')
  await browser.submit({ password })
  assert.ok(isSignedIn(browser))
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.equal(await countOf(lido, `traces where workspace_id = '${quiet.id}'`), 0)
})
