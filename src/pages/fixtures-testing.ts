import assert from 'node:assert/strict'
import { CompiledQuery } from 'kysely'
import { authorizeUrl, type Browser, openBrowser } from '../browser-testing.ts'
import * as clients from '../directory/clients.ts'
import * as connections from '../directory/connections.ts'
import * as credentials from '../directory/credentials.ts'
import { type IdentifierKind, readIdentifier } from '../directory/identifiers.ts'
import * as pools from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import * as workspaces from '../directory/workspaces.ts'
import * as keys from '../oidc/keys.ts'
import type { TestLido } from '../testing.ts'

export const password = 'correct horse battery staple'
export const redirectUri = 'https://app.example.test/callback'

type PoolSettings = NonNullable<Parameters<typeof pools.create>[2]['settings']>

export const makePool = ({ services: { db, clock } }: TestLido, slug: string, settings: PoolSettings = {}) =>
  pools.create(db, clock.now(), { slug, name: `Pool ${slug}`, settings })

type Link = Omit<Parameters<typeof connections.create>[3], 'pool_id' | 'name'> & { pool: pools.Pool }

/** A workspace with keys, the pools connected to it in order, and their connections' ids by the pools' slugs. */
export const makeWorkspace = async (
  { services }: TestLido,
  slug: string,
  links: Link[],
  settings: Parameters<typeof workspaces.create>[2]['settings'] = {},
) => {
  const { db, clock, keyring } = services
  const { id } = await workspaces.create(db, clock.now(), { slug, name: `Workspace ${slug}`, settings })
  const connected: Record<string, string> = {}
  for (const { pool, ...link } of links)
    connected[pool.slug] = await connections.create(db, clock.now(), id, { pool_id: pool.id, name: pool.name, ...link })
  await keys.generate(db, keyring, clock.now(), id)
  return { id, slug, connections: connected }
}

type NewClient = Parameters<typeof clients.create>[3]

/** A public client of the workspace's own, unless told otherwise. */
export const makeClient = (
  { services: { db, clock } }: TestLido,
  workspaceId: string,
  { id = 'app', ...more }: Partial<NewClient> = {},
) =>
  clients.create(db, clock.now(), workspaceId, {
    id,
    client_name: 'Test application',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [redirectUri],
    first_party: true,
    ...more,
  })

interface NewUser {
  password?: string | null
  status?: users.User['status']
  verified?: boolean
  profile?: Record<string, unknown>
  /** What else they go by. */
  aliases?: string[]
}

/** Someone of a pool, active and with the common password unless told otherwise. Answers the id. */
export const makeUser = async (
  { services: { db, clock, passwords } }: TestLido,
  pool: pools.Pool,
  name: string,
  { password: secret = password, status = 'active', verified = true, profile = {}, aliases = [] }: NewUser = {},
): Promise<string> => {
  const now = clock.now()
  const created = { identifier: identifierOf(name), status: 'active', verified, profile } as const
  const id = await users.create(db, now, pool.id, created)
  assert.ok(id, `${name} is taken`)
  if (secret !== null) await credentials.setPassword(db, now, pool.id, id, await hashOf(passwords, secret))
  for (const alias of aliases)
    await db
      .insertInto('identifiers')
      .values({ poolId: pool.id, userId: id, ...identifierOf(alias), verifiedAt: now })
      .execute()
  if (status !== 'active') await users.setStatus(db, now, pool.id, id, status)
  return id
}

const kinds: IdentifierKind[] = ['email', 'mobile', 'username']
const identifierOf = (typed: string) => {
  const identifier = readIdentifier(typed, kinds)
  assert.ok(identifier, `${typed} is no identifier`)
  return identifier
}

// One hash a password: what a hash costs is not what these tests are about.
const hashes = new Map<string, Promise<string>>()
const hashOf = (passwords: TestLido['services']['passwords'], secret: string): Promise<string> => {
  const known = hashes.get(secret) ?? passwords.hash(secret)
  hashes.set(secret, known)
  return known
}

export interface Visit extends Browser {
  /** What the client needs to redeem the code. */
  verifier: string
}

/** Opens the sign-in of a workspace's client in a browser, a new one unless told. */
export const visit = async (
  { url }: Pick<TestLido, 'url'>,
  workspace: string,
  { browser = openBrowser(url), ...more }: { browser?: Browser; [parameter: string]: unknown } = {},
): Promise<Visit> => {
  const asked = authorizeUrl(url, workspace, { client_id: 'app', redirect_uri: redirectUri, ...(more as object) })
  await browser.get(asked.url)
  return Object.assign(Object.create(browser), { verifier: asked.verifier })
}

/** A browser that has typed who it is, and is asked to prove it. */
export const visitAs = async (lido: Pick<TestLido, 'url'>, workspace: string, identifier: string) => {
  const browser = await visit(lido, workspace)
  await browser.submit({ identifier })
  assert.equal(browser.page.step, 'prove', browser.page.html)
  return browser
}

/** The code that a finished sign-in sent the browser back with. */
export const codeOf = ({ page }: Browser): string => {
  assert.ok(page.url.startsWith(`${redirectUri}?`), `${page.status} ${page.url}\n${page.html}`)
  const code = new URL(page.url).searchParams.get('code')
  assert.ok(code, page.url)
  return code
}

export const isSignedIn = ({ page }: Browser): boolean =>
  page.url.startsWith(redirectUri) && new URL(page.url).searchParams.has('code')

/** Redeems the code of a finished sign-in, as a public client does. */
export const redeem = async ({ url }: Pick<TestLido, 'url'>, workspace: string, browser: Visit) =>
  token(url, workspace, {
    grant_type: 'authorization_code',
    client_id: 'app',
    code: codeOf(browser),
    redirect_uri: redirectUri,
    code_verifier: browser.verifier,
  })

export interface TokenAnswer {
  status: number
  headers: Headers
  body: Record<string, string>
}

/** Asks the token endpoint. */
export const token = async (
  url: string,
  workspace: string,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<TokenAnswer> => {
  const response = await fetch(`${url}/w/${workspace}/token`, {
    method: 'POST',
    headers,
    body: new URLSearchParams(fields),
  })
  const text = await response.text()
  const body = response.headers.get('Content-Type')?.includes('json') ? JSON.parse(text) : { text }
  return { status: response.status, headers: response.headers, body }
}

/** What a page is, without what must differ from one to the next: nonces, tokens, uids, traces and who was named. */
export const likeness = ({ page }: Browser, ...names: string[]) => {
  const varying = new Set(['date', 'x-trace-id', 'content-length', 'set-cookie', 'connection', 'keep-alive'])
  const headers = [...page.headers].filter(([name]) => !varying.has(name)).map(([name, value]) => [name, plain(value)])
  const hidden = names.reduce((html, name) => html.replaceAll(name, 'NAME'), plain(page.html))
  return { status: page.status, headers, html: hidden, cookies: page.headers.getSetCookie().length }
}

const plain = (text: string): string =>
  text
    .replace(/nonce[-=]"?[\w+/=]+/g, 'NONCE')
    .replace(/name="csrf" value="[^"]*"/g, 'CSRF')
    .replace(/\/signin\/[\w-]+/g, '/signin/UID')
    .replace(/&quot;challenge&quot;:&quot;[\w-]+&quot;/g, 'CHALLENGE')
    .replaceAll('<wbr>', '')

/** Asks the database of a test, in plain SQL. */
export const rowsOf = async <Row>({ services }: Pick<TestLido, 'services'>, text: string): Promise<Row[]> =>
  (await services.db.executeQuery<Row>(CompiledQuery.raw(text))).rows

/** How many rows there are `from` something. */
export const countOf = async (lido: Pick<TestLido, 'services'>, from: string): Promise<number> =>
  (await rowsOf<{ n: number }>(lido, `select count(*)::int as n from ${from}`))[0]?.n ?? 0

/** Sends many answers to the form of a page at once; what comes back is not followed. */
export const atOnce = (
  { url }: Pick<TestLido, 'url'>,
  browser: Browser,
  answers: Record<string, string>[],
): Promise<Response[]> => {
  const headers = {
    Cookie: cookieOf(browser),
    Origin: url,
    Accept: 'text/html',
    'Content-Type': 'application/x-www-form-urlencoded',
  }
  const { page } = browser
  const hidden = hiddenOf(page.html)
  const send = (answer: Record<string, string>) =>
    fetch(page.url, {
      method: 'POST',
      redirect: 'manual',
      headers,
      body: new URLSearchParams({ ...hidden, ...answer }),
    })
  return Promise.all(answers.map(send))
}

/** What a browser sends as its cookies to an address, by default that of its page. */
export const cookieOf = ({ cookies, page }: Browser, url = page.url): string =>
  [...cookies]
    .filter(([, { path }]) => new URL(url).pathname.startsWith(path))
    .map(([name, { value }]) => `${name.split('@')[0]}=${value}`)
    .join('; ')

/** What a page's form sends unseen. */
export const hiddenOf = (html: string): Record<string, string> =>
  Object.fromEntries(
    [...html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)].map(([, name, value]) => [
      name,
      (value ?? '').replaceAll('&quot;', '"').replaceAll('&amp;', '&'),
    ]),
  )

/**
 * Asserts that everybody in a list takes the same time, give or take. A busy machine disturbs one round; who really
 * takes longer does so in each.
 */
export const takeAsLong = async (
  people: readonly string[],
  measured: (who: string, n: number) => Promise<() => Promise<unknown>>,
): Promise<void> => {
  const seen: number[][] = []
  for (let round = 0; round < 3; round += 1) {
    const times = new Map(people.map((who) => [who, [] as number[]]))
    for (let n = 0; n < 12; n += 1) {
      for (const [who, taken] of n % 2 ? [...times] : [...times].reverse()) {
        const act = await measured(who, round * 100 + n)
        const began = performance.now()
        await act()
        taken.push(performance.now() - began)
      }
    }
    const typical = [...times.values()].map((taken) => taken.sort((a, b) => a - b)[3] ?? 0)
    if (Math.max(...typical) < 1.6 * Math.min(...typical) + 2) return
    seen.push(typical)
  }
  assert.fail(`${people.join(', ')} took ${JSON.stringify(seen)} ms`)
}
