import assert from 'node:assert/strict'
import { authorizeUrl, openBrowser } from '../browser-testing.ts'
import * as clients from '../directory/clients.ts'
import * as credentials from '../directory/credentials.ts'
import { readIdentifier } from '../directory/identifiers.ts'
import { allScopes } from '../directory/operators.ts'
import * as pools from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import * as workspaces from '../directory/workspaces.ts'
import type { AdminLido, ApiAnswer } from './fixtures-testing.ts'

export const password = 'correct horse battery staple'
const redirectUri = 'https://operators.example/callback'

/** Makes an active user of a pool, found by slug, who can sign in with the common password; answers the id. */
export const makePerson = async ({ services }: AdminLido, slug: string, email: string): Promise<string> => {
  const { db, clock, passwords } = services
  const pool = await pools.findBySlug(db, slug)
  const identifier = readIdentifier(email, ['email'])
  assert.ok(pool && identifier)
  const id = await users.create(db, clock.now(), pool.id, { identifier, status: 'active', verified: true })
  assert.ok(id, `${email} is taken`)
  hash ??= passwords.hash(password)
  await credentials.setPassword(db, clock.now(), pool.id, id, await hash)
  return id
}

let hash: Promise<string> | undefined

interface Wanted {
  role: string
  workspaces?: string[]
  pools?: string[]
}

/** An operator who has signed in to an application of the admin workspace. */
export interface SignedIn {
  id: string
  token: string
  /** Calls the API with their token. */
  call(method: string, path: string, body?: unknown): Promise<ApiAnswer>
}

/** Makes a user of the administrators an operator and signs them in, in a browser. */
export const operator = async (lido: AdminLido, email: string, { role, ...limits }: Wanted): Promise<SignedIn> => {
  const id = await makePerson(lido, 'administrators', email)
  const put = await lido.call('PUT', `/operators/${id}`, { role, ...limits })
  assert.equal(put.status, 200, JSON.stringify(put.body))
  const token = await operatorToken(lido, email)
  const headers = { Authorization: `Bearer ${token}` }
  return { id, token, call: (method, path, body) => lido.call(method, path, body, headers) }
}

/** Signs somebody of the administrators in to an application that may ask for tokens for the API; answers the token. */
export const operatorToken = async (lido: AdminLido, email: string, scope = 'admin'): Promise<string> => {
  const resource = `${lido.url}/api/v1`
  await makeConsole(lido, resource)
  const parameters = { client_id: 'operators', redirect_uri: redirectUri, scope: `openid ${scope}`, resource }
  const { url, verifier } = authorizeUrl(lido.url, 'admin', parameters)
  const browser = openBrowser(lido.url)
  await browser.get(url)
  await browser.submit({ identifier: email })
  await browser.submit({ password })
  const code = new URL(browser.page.url).searchParams.get('code')
  assert.ok(code, `${browser.page.url}\n${browser.page.html}`)
  const body = {
    grant_type: 'authorization_code',
    client_id: 'operators',
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
    resource,
  }
  const response = await fetch(`${lido.url}/w/admin/token`, { method: 'POST', body: new URLSearchParams(body) })
  const { access_token } = (await response.json()) as { access_token?: string }
  assert.ok(access_token, `No token for ${email}: ${response.status}`)
  return access_token
}

const makeConsole = async ({ services: { db, clock } }: AdminLido, resource: string): Promise<void> => {
  const workspace = await workspaces.findBySlug(db, 'admin')
  assert.ok(workspace)
  if (await clients.find(db, workspace.id, 'operators')) return
  await clients.create(db, clock.now(), workspace.id, {
    id: 'operators',
    client_name: 'Operators',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code'],
    redirect_uris: [redirectUri],
    first_party: true,
    resources: { [resource]: allScopes },
  })
}
