import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type TestLido, testLido } from '../testing.ts'
import { rowsOf, token } from './fixtures-testing.ts'
import { claimsOf, makePlace, signInAda } from './scripts-testing.ts'

let lido: TestLido
let skewed = 0
before(async () => {
  lido = await testLido({}, { clock: { now: () => new Date(Date.now() + skewed) } })
})
after(() => lido.stop())

const code = 'const postAuthentication = () => ({ claims: { plan: "gold", active: false, act: { sub: "x" } } })'
const secret = 'a secret of this client, long enough for anybody'

/** Ada, signed in to a client that may ask what its tokens mean; `plan` is told in each place where it could be. */
const signedIn = async (seconds: number | null) => {
  const client = { token_endpoint_auth_method: 'client_secret_post', secret } as const
  const { slug, workspace, user } = await makePlace(lido, { code, client })
  const { db } = lido.services
  const settings = { contextCacheSeconds: seconds }
  await db.updateTable('connections').set(settings).where('workspaceId', '=', workspace.id).execute()
  await new Promise((resolve) => setTimeout(resolve, 250))
  const browser = await signInAda(lido, slug)
  const first = await redeemWith(slug, browser)
  let refresh = first.refresh_token ?? ''
  const plans = async () => {
    const renewed = await token(lido.url, slug, { ...own, grant_type: 'refresh_token', refresh_token: refresh })
    refresh = renewed.body.refresh_token ?? refresh
    const access = renewed.body.access_token ?? ''
    const userinfo = await fetch(`${lido.url}/w/${slug}/userinfo`, { headers: { Authorization: `Bearer ${access}` } })
    const meant = await introspect(slug, access)
    assert.equal(meant.active, true)
    assert.deepEqual([meant.sub, meant.act], [user, undefined])
    return [claimsOf(renewed.body.id_token).plan, ((await userinfo.json()) as { plan?: string }).plan, meant.plan]
  }
  return { plans, slug, workspace, access: first.access_token ?? '', browser }
}

const own = { client_id: 'app', client_secret: secret }

const redeemWith = async (slug: string, browser: Awaited<ReturnType<typeof signInAda>>) => {
  const { searchParams } = new URL(browser.page.url)
  const { body } = await token(lido.url, slug, {
    ...own,
    grant_type: 'authorization_code',
    code: searchParams.get('code') ?? '',
    redirect_uri: 'https://app.example.test/callback',
    code_verifier: browser.verifier,
  })

  return body
}

const introspect = async (slug: string, access: string) => {
  const response = await fetch(`${lido.url}/w/${slug}/introspect`, {
    method: 'POST',
    body: new URLSearchParams({ ...own, token: access }),
  })
  const body = await response.json()

  return body as { active: boolean; sub?: string; plan?: string; act?: unknown }
}

test('what was said at the sign-in is told at refresh, userinfo and introspection as long as the connection keeps it', async () => {
  const brief = await signedIn(600)
  const lasting = await signedIn(null)
  try {
    assert.deepEqual(await brief.plans(), ['gold', 'gold', 'gold'])
    skewed = 590_000
    assert.deepEqual(await brief.plans(), ['gold', 'gold', 'gold'])
    skewed = 601_000
    assert.deepEqual(await brief.plans(), [undefined, undefined, undefined])
    assert.deepEqual(await lasting.plans(), ['gold', 'gold', 'gold'])
  } finally {
    skewed = 0
  }
})

test('nothing is kept where the connection keeps nothing, and nothing in clear anywhere', async () => {
  const { plans, workspace } = await signedIn(0)
  assert.deepEqual(await plans(), [undefined, undefined, undefined])
  const clear = `select 1 from artifacts x where workspace_id = '${workspace.id}' and x::text like '%gold%'`
  assert.deepEqual(await rowsOf(lido, clear), [])
})

test('what was said is gone with the sign-in', async () => {
  const { slug, workspace, browser, access } = await signedIn(null)
  assert.equal((await introspect(slug, access)).plan, 'gold')
  await browser.get(`${lido.url}/w/${slug}/logout`)
  await browser.submit({ logout: 'yes' })
  assert.deepEqual(await introspect(slug, access), { active: false })
  const kept = `select 1 from artifacts where workspace_id = '${workspace.id}' and payload ? 'said'`
  assert.deepEqual(await rowsOf(lido, kept), [])
})
