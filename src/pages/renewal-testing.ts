import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openBrowser } from '../browser-testing.ts'
import { openProvider, type Provider } from '../signin/upstreams/provider-testing.ts'
import type { TestLido } from '../testing.ts'
import { makeFederated } from './federated-testing.ts'
import {
  codeOf,
  isSignedIn,
  makeClient,
  makeWorkspace,
  redirectUri,
  rowsOf,
  token,
  type Visit,
  visit,
} from './fixtures-testing.ts'

/** A double of an OpenID Provider that listens on loopback. */
export const listen = async (): Promise<{ provider: Provider; close(): Promise<void> }> => {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const headers = request.headers as Record<string, string>
    const asked = provider.fetch(provider.issuer + request.url, { headers, body: Buffer.concat(chunks).toString() })
    const answer = await asked.catch(() => undefined)
    if (!answer) response.destroy()
    else response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(answer.text())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const provider = await openProvider({ issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { provider, close }
}

interface Wanted {
  mapping?: Record<string, string>
  reloads?: boolean
  seconds?: number | null
  settings?: Record<string, unknown>
  when?: 'first_sign_in' | 'every_sign_in'
  client?: Parameters<typeof makeClient>[2]
}

let places = 0

/** Where a JWT is for. */
export const resource = 'https://resource.example.test/api'

/** A workspace whose people come from a provider. */
export const makePlace = async (
  lido: TestLido,
  { issuer }: Provider,
  { mapping = {}, reloads = false, seconds = null, settings = {}, when = 'every_sign_in', client = {} }: Wanted = {},
) => {
  places += 1
  const slug = `renewal-${places}`
  const schema = { type: 'object', properties: { given_name: { type: 'string' } } }
  const pool = await makeFederated(lido, slug, { settings: { user_schema: schema } })
  const upstream = {
    ...pool.upstream,
    settings: { issuer, client_id: 'lido', authentication: 'none', ...settings },
    mapping: { ...pool.upstream?.mapping, when },
  }
  const { db } = lido.services
  const set = { upstream: JSON.stringify(upstream) }
  await db.updateTable('pools').set(set).where('id', '=', pool.id).execute()
  const link = { pool, mapping, reload_claims_at_refresh: reloads, context_cache_seconds: seconds }
  const { id, connections } = await makeWorkspace(lido, slug, [link])
  await makeClient(lido, id, { resources: { [resource]: ['profile', 'read'] }, ...client })
  return { slug, workspaceId: id, connection: connections[slug] ?? '', pool }
}

export type Place = Awaited<ReturnType<typeof makePlace>>

/** Somebody's way in, by the provider; `to` is where they were sent. */
export const comeBy = async (
  lido: TestLido,
  provider: Provider,
  { slug, connection }: Place,
  claims: Record<string, unknown>,
  { browser = openBrowser(lido.url), ...asked }: Parameters<typeof visit>[2] = {},
): Promise<{ browser: Visit; to: URL }> => {
  const visiting = await visit(lido, slug, { browser, scope: 'openid profile', ...asked })
  const to = new URL(browser.page.url)
  assert.equal(to.origin, provider.issuer, visiting.page.html)
  const { fields } = await provider.signIn(to, claims)
  await browser.get(`${lido.url}/callback/${connection}?${new URLSearchParams(fields)}`)
  return { browser: visiting, to }
}

/** Somebody who is signed in, with their tokens. */
export const signedIn = async (
  lido: TestLido,
  provider: Provider,
  place: Place,
  claims: Record<string, unknown> = { sub: 'ada' },
  asked: Parameters<typeof visit>[2] = {},
) => {
  const { browser } = await comeBy(lido, provider, place, claims, asked)
  assert.ok(isSignedIn(browser), `${browser.page.url} ${browser.page.html}`)
  const { slug } = place
  const { body } = await token(lido.url, slug, {
    ...{ grant_type: 'authorization_code', client_id: 'app', redirect_uri: redirectUri },
    ...{ code: codeOf(browser), code_verifier: browser.verifier },
    ...(typeof asked?.resource === 'string' ? { resource: asked.resource } : {}),
  })
  let refresh = body.refresh_token ?? ''
  const again = async (more: Record<string, string> = {}) => {
    const own = { grant_type: 'refresh_token', client_id: 'app', refresh_token: refresh, ...more }
    const answer = await token(lido.url, slug, own)
    refresh = answer.body.refresh_token ?? refresh
    return answer
  }
  return { browser, body, again, refresh: () => refresh }
}

export const userinfo = async (lido: TestLido, { slug }: Place, accessToken = ''): Promise<Record<string, unknown>> => {
  const headers = { Authorization: `Bearer ${accessToken}` }
  return (await fetch(`${lido.url}/w/${slug}/userinfo`, { headers })).json() as Promise<Record<string, unknown>>
}

export const introspect = async (lido: TestLido, { slug }: Place, value = ''): Promise<Record<string, unknown>> => {
  const body = new URLSearchParams({ client_id: 'app', token: value })
  const response = await fetch(`${lido.url}/w/${slug}/introspect`, { method: 'POST', body })
  return response.json() as Promise<Record<string, unknown>>
}

/** What a JWT says, unchecked. */
export const claimsOf = (jwt = ''): Record<string, unknown> =>
  JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'))

export const contextsOf = (lido: TestLido, { workspaceId }: Place) =>
  rowsOf<{ id: string; payload: { sealed: string; version: number } }>(
    lido,
    `select id, payload from artifacts where workspace_id = '${workspaceId}' and kind = 'Context'`,
  )
