import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { authorizeUrl, type Browser, openBrowser } from '../browser-testing.ts'
import * as clients from '../directory/clients.ts'
import * as connections from '../directory/connections.ts'
import * as credentials from '../directory/credentials.ts'
import { readIdentifier } from '../directory/identifiers.ts'
import * as pools from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import * as workspaces from '../directory/workspaces.ts'
import { openLog } from '../platform/log.ts'
import type { Passwords } from '../platform/passwords.ts'
import { type StartOptions, start } from '../start.ts'
import type { TestLido } from '../testing.ts'
import * as keys from './keys.ts'

export const password = 'correct horse battery staple'
export const callback = 'https://app.example/callback'
export const goodbye = 'https://app.example/bye'

/** A pool whose people all have the same password. */
export interface TestPool {
  id: string
  slug: string
  /** Makes an active user and answers the id. */
  user(email: string, profile?: Record<string, unknown>): Promise<string>
}

export const makePool = async ({ services }: TestLido, slug: string): Promise<TestPool> => {
  const { db, clock, passwords } = services
  const { id } = await pools.create(db, clock.now(), { slug, name: slug })
  return {
    id,
    slug,
    async user(email, profile = { given_name: 'Mike', family_name: 'Miller' }) {
      const identifier = readIdentifier(email, ['email'])
      assert(identifier)
      const made = await users.create(db, clock.now(), id, { identifier, status: 'active', verified: true, profile })
      assert(made)
      await credentials.setPassword(db, clock.now(), id, made, await hashOnce(passwords))
      return made
    },
  }
}

let hash: Promise<string> | undefined
const hashOnce = (passwords: Passwords): Promise<string> => {
  hash ??= passwords.hash(password)
  return hash
}

/** A workspace with keys, its pools connected in order. */
export interface TestWorkspace {
  id: string
  slug: string
  issuer: string
  connections: string[]
  /** Registers a client, a public one of our own unless told; answers its secret. */
  client(id: string, more?: Partial<Parameters<typeof clients.create>[3]>): Promise<string>
}

export const makeWorkspace = async (
  { services, url }: TestLido,
  slug: string,
  wanted: { pools: TestPool[]; settings?: Parameters<typeof workspaces.create>[2]['settings'] },
): Promise<TestWorkspace> => {
  const { db, clock, keyring } = services
  const { id } = await workspaces.create(db, clock.now(), { slug, name: slug, settings: wanted.settings ?? {} })
  const connected: string[] = []
  for (const pool of wanted.pools)
    connected.push(await connections.create(db, clock.now(), id, { pool_id: pool.id, name: pool.slug }))
  await keys.generate(db, keyring, clock.now(), id)
  return {
    id,
    slug,
    issuer: `${url}/w/${slug}`,
    connections: connected,
    client: async (clientId, more = {}) =>
      (await clients.create(db, clock.now(), id, { ...aClient(clientId, more), keyring })).secret ?? '',
  }
}

const aClient = (id: string, more: Partial<Parameters<typeof clients.create>[3]>) => ({
  id,
  client_name: `The ${id}`,
  token_endpoint_auth_method: 'none' as const,
  grant_types: ['authorization_code' as const, 'refresh_token' as const],
  redirect_uris: [callback],
  post_logout_redirect_uris: [goodbye],
  first_party: true,
  ...more,
})

/** What came back, with its JSON where it is any. */
export interface Answer {
  status: number
  headers: Headers
  text: string
  body: { error?: string; error_description?: string; [name: string]: unknown }
}

export const ask = async (url: string, init: RequestInit = {}): Promise<Answer> => {
  const response = await fetch(url, { redirect: 'manual', ...init })
  const text = await response.text()
  const json = text && response.headers.get('Content-Type')?.includes('json') ? JSON.parse(text) : {}
  return { status: response.status, headers: response.headers, text, body: json }
}

export const post = (url: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
  ask(url, { method: 'POST', body: new URLSearchParams(fields), headers })

export const basic = (id: string, secret: string) => ({
  Authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
})

/** Somebody's way through a sign-in, as far as it went. */
export interface SignedIn {
  browser: Browser
  verifier: string
  /** Where the browser ended: the client's address, unless a page came up. */
  at: URL
  code: string
}

/** Asks for authorization and answers what the hosted pages ask, with the one password; without an email, nothing. */
export const signIn = async (
  lido: TestLido,
  { slug }: { slug: string },
  email: string,
  params: Record<string, string> = {},
  browser = openBrowser(lido.url),
): Promise<SignedIn> => {
  const { url, verifier } = authorizeUrl(lido.url, slug, { client_id: 'spa', redirect_uri: callback, ...params })
  await browser.get(url)
  if (email && browser.page.step === 'identify') await browser.submit({ identifier: email })
  if (email && browser.page.step === 'prove') await browser.submit({ password })
  const at = new URL(browser.page.url)
  return { browser, verifier, at, code: at.searchParams.get('code') ?? '' }
}

/** Redeems a code at the issuer it is from, or at another node's address. */
export const redeem = (
  issuer: string,
  { code, verifier }: Pick<SignedIn, 'code' | 'verifier'>,
  more: Record<string, string> = {},
  headers: Record<string, string> = {},
) =>
  post(
    `${issuer}/token`,
    {
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
      redirect_uri: callback,
      ...(headers.Authorization ? {} : { client_id: 'spa' }),
      ...more,
    },
    headers,
  )

export const refresh = (
  issuer: string,
  refreshToken: string,
  more: Record<string, string> = {},
  headers: Record<string, string> = {},
) =>
  post(
    `${issuer}/token`,
    {
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      ...(headers.Authorization ? {} : { client_id: 'spa' }),
      ...more,
    },
    headers,
  )

export interface Tokens {
  access: string
  refresh: string
  id: string
}

export const tokensFrom = ({ status, body, text }: Answer): Tokens => {
  assert.equal(status, 200, text)
  return { access: String(body.access_token), refresh: String(body.refresh_token), id: String(body.id_token) }
}

/** Signs somebody in to a client without a secret and redeems the code. */
export const tokensOf = async (
  lido: TestLido,
  workspace: TestWorkspace,
  email: string,
  params: Record<string, string> = {},
): Promise<Tokens & { browser: Browser }> => {
  const signedIn = await signIn(lido, workspace, email, params)
  assert(signedIn.code, signedIn.browser.page.html)
  const answer = await redeem(workspace.issuer, signedIn, { client_id: params.client_id ?? 'spa' })
  return { ...tokensFrom(answer), browser: signedIn.browser }
}

export const userinfo = (issuer: string, accessToken: string) =>
  ask(`${issuer}/userinfo`, { headers: { Authorization: `Bearer ${accessToken}` } })

/** What a JWT says, unverified. */
export const payloadOf = (jwt: string): Record<string, unknown> => partOf(jwt, 1)
export const headerOf = (jwt: string): Record<string, unknown> => partOf(jwt, 0)
const partOf = (jwt: string, index: number) =>
  JSON.parse(Buffer.from(jwt.split('.')[index] ?? '', 'base64url').toString())

/** Another node of the same program, on the same database; `issuer` is a workspace's address at this node. */
export interface Node {
  url: string
  issuer(workspace: { slug: string }): string
  stop(): Promise<void>
}

export const anotherNode = async ({ services, url }: TestLido, options: StartOptions = {}): Promise<Node> => {
  const port = await freePort()
  const log = openLog({ level: 'silent' })
  const node = await start({ ...services.config, port, publicUrl: url }, { log, clock: services.clock, ...options })
  const here = `http://127.0.0.1:${port}`
  return { url: here, issuer: ({ slug }) => `${here}/w/${slug}`, stop: node.stop }
}

/** A port of this machine that nobody listens on. */
export const freePort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Tries until it holds, for so many milliseconds; throws what it threw last. */
export const eventually = async <Result>(milliseconds: number, holds: () => Promise<Result>): Promise<Result> => {
  const deadline = Date.now() + milliseconds
  for (;;) {
    try {
      return await holds()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
