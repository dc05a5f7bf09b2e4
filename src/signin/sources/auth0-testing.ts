import { randomBytes } from 'node:crypto'
import { SignJWT } from 'jose'
import type { Clock } from '../../platform/clock.ts'
import { auth0 } from './auth0.ts'
import {
  type Answer,
  type Asked,
  type Bench,
  type Fault,
  httpFaults,
  loopback,
  openHttpDouble,
  type Person,
  type SourceDouble,
  sourceTools,
} from './double-testing.ts'
import type { OpenSource } from './source.ts'

export const auth0Bench: Bench = {
  source: auth0,
  states: ['ok', 'mfa_required', 'must_reset', 'blocked'],
  faults: httpFaults,
  open: () => openAuth0Double(),
}

const connection = 'Username-Password-Authentication'
const application = { client_id: 'canary-free-app', client_secret: 'canary secret of the application' }
const manager = { client_id: 'canary-free-manager', client_secret: 'canary secret of the manager' }

/** A tenant with two applications and one database connection, which is its default directory, too. */
export interface Auth0Double extends SourceDouble {
  url: string
  seen: readonly Asked[]
  /** What the management application was granted; the grant types of the other one. */
  scopes: string[]
  grants: string[]
  /** No token that was given out so far is good any more; with `all`, none that follows either. */
  revoke(all?: boolean): void
  open(allow?: readonly string[], settings?: Record<string, unknown>, clock?: Clock): OpenSource
  /** Everybody is kept as the Management API shows them; a test may change what it likes. */
  users: StoredUser[]
}

interface StoredUser {
  user_id: string
  email?: string
  email_verified?: boolean
  username?: string
  phone_number?: string
  phone_verified?: boolean
  name?: string
  created_at: string
  blocked?: boolean
  multifactor?: string[]
  app_metadata: Record<string, unknown>
  identities: Record<string, unknown>[]
  /** Not shown to anybody. */
  secret: Pick<Person, 'password' | 'state'> & { roles: string[] }
}

export const openAuth0Double = async (): Promise<Auth0Double> => {
  const users: StoredUser[] = []
  const scopes = ['read:users', 'read:roles']
  const grants = ['password', 'http://auth0.com/oauth/grant-type/password-realm']
  const tokens = new Set<string>()
  const tenant: Tenant = { users, scopes, grants, tokens, base: '', distrusts: false }
  const server = await openHttpDouble({
    answer: (asked, fault) => answer(tenant, asked, fault),
    rateLimited: {
      status: 429,
      body: { statusCode: 429, error: 'too_many_requests', error_description: 'Global limit has been reached' },
      headers: {
        'x-ratelimit-limit': '10',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': String(Math.ceil(Date.now() / 1000) + 7),
      },
    },
    unauthorized: { status: 401, body: { error: 'access_denied', error_description: 'Unauthorized' } },
  })
  tenant.base = server.url
  const settings = {
    domain: server.url,
    ...application,
    realm: connection,
    tenant_id_field: 'organisation',
    management_client_id: manager.client_id,
    management_client_secret: manager.client_secret,
  }
  return {
    ...server,
    settings,
    users,
    scopes,
    grants,
    revoke(all = false) {
      tokens.clear()
      tenant.distrusts = all
    },
    add: (person) => users.push(...storedUsers(person, users.length)),
    open: (allow = loopback, others = {}, clock) =>
      auth0.open(
        auth0.settings.parse({ ...settings, ...others }) as Parameters<typeof auth0.open>[0],
        sourceTools(allow, clock ? { clock } : {}),
      ),
  }
}

/** Somebody, and somebody else with the same address in another connection, as Auth0 has it. */
const storedUsers = (person: Person, count: number): StoredUser[] => {
  const made = (at: number) => new Date(Date.UTC(2020, 0, 1) + (count + at) * 1000).toISOString()
  const id = `${1000 + count}`
  const theirs: StoredUser = {
    user_id: `auth0|${id}`,
    email: person.email.toLowerCase(),
    email_verified: person.verified ?? true,
    created_at: made(0),
    app_metadata: person.tenant === undefined ? {} : { organisation: person.tenant },
    identities: [{ connection, provider: 'auth0', user_id: id, isSocial: false, access_token: 'canary of a token' }],
    secret: { password: person.password, state: person.state ?? 'ok', roles: person.roles ?? [] },
  }
  if (person.name !== undefined) theirs.name = person.name
  if (person.state === 'blocked') theirs.blocked = true
  const namesake: StoredUser = {
    ...theirs,
    user_id: `google-oauth2|${id}`,
    name: 'Namesake',
    created_at: made(1),
    identities: [{ connection: 'google-oauth2', provider: 'google-oauth2', user_id: id, isSocial: true }],
    secret: { password: randomBytes(9).toString('hex'), state: 'ok', roles: ['wrong'] },
  }
  return [theirs, namesake]
}

interface Tenant {
  base: string
  users: StoredUser[]
  scopes: string[]
  grants: string[]
  tokens: Set<string>
  distrusts: boolean
}

const answer = (tenant: Tenant, asked: Asked, fault: Fault | undefined): Answer | Promise<Answer> => {
  const { pathname } = asked.url
  if (pathname === '/oauth/token' && asked.method === 'POST') return token(tenant, asked, fault)
  if (pathname.startsWith('/api/v2/') && asked.method === 'GET') return manage(tenant, asked, fault)
  return { status: 404, body: { error: 'Not Found' } }
}

const refuse = (status: number, error: string, error_description = 'words that may change'): Answer => ({
  status,
  body: { error, error_description },
})

const token = (tenant: Tenant, asked: Asked, fault: Fault | undefined): Answer | Promise<Answer> => {
  if (asked.headers['content-type'] !== 'application/json') return refuse(400, 'invalid_request')
  const given: Record<string, string | undefined> = JSON.parse(asked.body)
  if (given.grant_type === 'client_credentials') return managementToken(tenant, given)
  if (given.client_id !== application.client_id) return refuse(401, 'access_denied', 'Unauthorized')
  if (given.client_secret !== application.client_secret) return refuse(401, 'access_denied', 'Unauthorized')
  if (!tenant.grants.includes(given.grant_type ?? '')) return refuse(403, 'unauthorized_client')
  const realm = given.grant_type === 'password' ? connection : given.realm
  if (realm !== connection) return refuse(400, 'invalid_request', 'the connection was not found')
  if (!given.username || !given.password) return refuse(400, 'invalid_request', 'missing parameter')
  if (given.audience && given.audience !== 'https://api.example.org')
    return refuse(403, 'access_denied', 'Service not found')
  return signIn(tenant, fault === 'other_user' ? swap(tenant, given) : given)
}

/** What somebody else would have typed. */
const swap = ({ users }: Tenant, given: Record<string, string | undefined>) => {
  const other = users.find(({ email }) => email === 'other@example.org')
  return { ...given, username: other?.email, password: other?.secret.password }
}

const signIn = async (tenant: Tenant, given: Record<string, string | undefined>): Promise<Answer> => {
  const goesBy = ({ email, username, phone_number }: StoredUser) =>
    [email, username, phone_number].includes(given.username)
  const user = tenant.users.find((one) => goesBy(one) && one.identities.some((held) => held.connection === connection))
  if (user?.secret.state === 'blocked') return refuse(403, 'unauthorized', 'user is blocked')
  if (!user || user.secret.password !== given.password) return refuse(403, 'invalid_grant', 'Wrong email or password.')
  if (user.secret.state === 'must_reset') return refuse(401, 'password_leaked')
  if (user.secret.state === 'mfa_required')
    return { status: 403, body: { error: 'mfa_required', error_description: 'x', mfa_token: 'canary of an mfa_token' } }
  const { email, email_verified, name, phone_number } = user
  const idToken = await new SignJWT({ email, email_verified, name, phone_number, nickname: 'someone' })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer(`${tenant.base}/`)
    .setAudience(application.client_id)
    .setSubject(user.user_id)
    .setIssuedAt()
    .setExpirationTime('10h')
    .sign(Buffer.from(application.client_secret))
  const scope = given.scope ?? ''
  const told = scope.split(' ').includes('openid') ? { id_token: idToken } : {}
  return {
    status: 200,
    body: { access_token: 'canary of an access token', ...told, scope, expires_in: 86400, token_type: 'Bearer' },
  }
}

const managementToken = (tenant: Tenant, given: Record<string, string | undefined>): Answer => {
  if (given.client_id !== manager.client_id) return refuse(401, 'access_denied', 'Unauthorized')
  if (given.client_secret !== manager.client_secret) return refuse(401, 'access_denied', 'Unauthorized')
  if (given.audience !== `${tenant.base}/api/v2/`)
    return refuse(403, 'access_denied', 'Service not enabled within domain')
  const access_token = randomBytes(16).toString('hex')
  if (!tenant.distrusts) tenant.tokens.add(access_token)
  return {
    status: 200,
    body: { access_token, scope: tenant.scopes.join(' '), expires_in: 86400, token_type: 'Bearer' },
  }
}

const problem = (statusCode: number, errorCode: string): Answer => ({
  status: statusCode,
  body: { statusCode, error: 'words', message: 'more words', errorCode },
})

const manage = (tenant: Tenant, asked: Asked, fault: Fault | undefined): Answer => {
  const { pathname, searchParams: query } = asked.url
  const [, bearer = ''] = /^Bearer (.+)$/.exec(asked.headers.authorization ?? '') ?? []
  if (!tenant.tokens.has(bearer)) return problem(401, 'invalid_token')
  const users =
    fault === 'other_user' ? tenant.users.filter(({ email }) => email === 'other@example.org') : tenant.users
  const lacks = (scope: string) => !tenant.scopes.includes(scope)
  if (lacks('read:users')) return problem(403, 'insufficient_scope')
  if (Number(query.get('per_page') ?? 50) > 100) return problem(400, 'invalid_paging')
  if (pathname === '/api/v2/users-by-email') return { status: 200, body: byEmail(users, query.get('email'), fault) }
  if (pathname === '/api/v2/users') return search(users, query)
  const [, id = '', roles] = /^\/api\/v2\/users\/([\w%-]+)(\/roles)?$/.exec(pathname) ?? []
  if (roles && lacks('read:roles')) return problem(403, 'insufficient_scope')
  const user = tenant.users.find(({ user_id }) => user_id === decodeURIComponent(id))
  if (!user) return problem(404, 'inexistent_user')
  return { status: 200, body: roles ? rolePage(user, query) : shown(user) }
}

/** The address is compared as it is written. */
const byEmail = (users: StoredUser[], email: string | null, fault: Fault | undefined) =>
  users.filter((user) => fault === 'other_user' || user.email === email).map(shown)

const shown = ({ secret, ...user }: StoredUser) => user

const page = <Item>(all: Item[], query: URLSearchParams): Item[] => {
  const perPage = Number(query.get('per_page') ?? 50)
  const start = Number(query.get('page') ?? 0) * perPage
  return all.slice(start, start + perPage)
}

const rolePage = ({ secret: { roles } }: StoredUser, query: URLSearchParams) => {
  const some = page(roles, query).map((name, index) => ({ id: `rol_${index}`, name, description: name }))
  return query.get('include_totals') === 'true'
    ? { roles: some, start: 0, limit: some.length, total: roles.length }
    : some
}

/** The searches that are asked here; whatever else is asked is refused. */
const queries: [RegExp, (user: StoredUser, value: string, from: string) => boolean][] = [
  [
    /^identities\.connection:"((?:[^"\\]|\\.)+)"(?: AND created_at:\["([\dTZ:.-]+)" TO \*\])?$/,
    (user, value, from) => user.identities.some((one) => one.connection === value) && user.created_at >= from,
  ],
  [
    /^identities\.provider:"(auth0)"(?: AND created_at:\["([\dTZ:.-]+)" TO \*\])?$/,
    (user, value, from) => user.identities.some((one) => one.provider === value) && user.created_at >= from,
  ],
  [/^username:"((?:[^"\\]|\\.)+)"$/, (user, value) => user.username === value],
  [/^phone_number:"((?:[^"\\]|\\.)+)"$/, (user, value) => user.phone_number === value],
]

const search = (users: StoredUser[], query: URLSearchParams): Answer => {
  const perPage = Number(query.get('per_page') ?? 50)
  if (query.get('search_engine') !== 'v3') return problem(400, 'invalid_query_string')
  if ((Number(query.get('page') ?? 0) + 1) * perPage > 1000) return problem(400, 'invalid_paging')
  const q = query.get('q')
  const form = queries.find(([pattern]) => q !== null && pattern.test(q))
  if (q !== null && !form) return problem(400, 'invalid_query_string')
  const [, value = '', from = ''] = (q !== null && form?.[0].exec(q)) || []
  const found = form ? users.filter((user) => form[1](user, value.replace(/\\(.)/g, '$1'), from)) : users
  const sorted = query.get('sort') === 'created_at:1' ? found.toSorted(byAge) : found
  return { status: 200, body: page(sorted, query).map(shown) }
}

const byAge = (one: StoredUser, other: StoredUser): number => {
  if (one.created_at === other.created_at) return one.user_id < other.user_id ? -1 : 1
  return one.created_at < other.created_at ? -1 : 1
}
