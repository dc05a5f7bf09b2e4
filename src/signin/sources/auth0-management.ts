import { z } from 'zod'
import type { Identifier } from '../../directory/identifiers.ts'
import { ask, type Heard, misconfigured, rateLimited, silent, strange, unavailable } from './asking.ts'
import { nameOf } from './auth0-login.ts'
import { type Auth0Settings, readBase } from './auth0-settings.ts'
import { type Auth0User, auth0User, livesIn, outsiderOf } from './auth0-user.ts'
import type { Found, SourceTools, Trouble } from './source.ts'

/** A question to the Management API; `scope` is what it takes. */
export type Get = (path: string, scope: string) => Promise<{ is: 'ok'; body: unknown } | { is: 'not_found' } | Trouble>

/** The Management API of a tenant; undefined where the settings name nobody who may call it. */
export const openManagement = (settings: Auth0Settings, tools: SourceTools): Get | undefined => {
  const base = readBase(settings.domain) ?? ''
  const { management_client_id: id, management_client_secret: secret } = settings
  if (!id || !secret) return undefined
  const token = cached(tools, () => requestToken(tools, base, id, secret))
  const send = async (path: string, bearer: string) =>
    ask(tools.fetch, `${base}/api/v2/${path}`, { headers: { authorization: `Bearer ${bearer}` } })
  return async (path, scope) => {
    const first = await token()
    if (typeof first !== 'string') return first
    const heard = await send(path, first)
    if (heard?.status !== 401) return read(heard, scope, tools.clock.now())
    const second = await token(first)
    return typeof second === 'string' ? read(await send(path, second), scope, tools.clock.now()) : second
  }
}

/** Somebody by what they go by, where exactly one user of the connection does. */
export const findUser = async (settings: Auth0Settings, get: Get, asked: Identifier): Promise<Found> => {
  const got = await get(searchFor(asked), 'read:users')
  if (got.is === 'not_found') return unavailable('Auth0 does not know its own list of users')
  if (got.is !== 'ok') return got
  const users = z.array(auth0User).safeParse(got.body)
  if (!users.success) return unavailable('Auth0 answered with something else than users')
  const theirs = users.data.filter((user) => livesIn(settings, user))
  const [user, second] = theirs
  if (second)
    return misconfigured('Several users of Auth0 go by the same name: name their database connection as realm')
  return user ? complete(settings, user, await rolesOf(get, user.user_id)) : { is: 'not_found' }
}

/** Somebody by the identity that Auth0 gave them. */
export const getUser = async (settings: Auth0Settings, get: Get, id: string): Promise<Found> => {
  const [got, roles] = await Promise.all([get(`users/${encodeURIComponent(id)}`, 'read:users'), rolesOf(get, id)])
  if (got.is !== 'ok') return got
  const user = auth0User.safeParse(got.body)
  if (!user.success || user.data.user_id !== id)
    return unavailable('Auth0 answered with something else than the user it was asked for')
  return complete(settings, user.data, roles)
}

type Roles = { is: 'ok'; names: string[] } | Trouble

/** The names of somebody's roles, over as many pages as there are. */
const rolesOf = async (get: Get, id: string): Promise<Roles> => {
  const names: string[] = []
  for (let page = 0; page < mostPages; page += 1) {
    const path = `users/${encodeURIComponent(id)}/roles?per_page=${perPage}&page=${page}&include_totals=true`
    const got = await get(path, 'read:roles')
    if (got.is === 'not_found') return { is: 'ok', names }
    if (got.is !== 'ok') return got
    const read = rolePage.safeParse(got.body)
    if (!read.success) return unavailable('Auth0 answered with something else than roles')
    names.push(...read.data.roles.map(({ name }) => name))
    if (read.data.roles.length === 0 || names.length >= read.data.total) return { is: 'ok', names }
  }
  return unavailable('Auth0 knows more than 1,000 roles of one user')
}

/** The most that Auth0 gives at once. */
export const perPage = 100
const mostPages = 10

const rolePage = z.looseObject({ roles: z.array(z.looseObject({ name: z.string() })), total: z.number() })

const complete = (settings: Auth0Settings, user: Auth0User, roles: Roles): Found => {
  if (user.blocked) return { is: 'blocked' }
  return roles.is === 'ok' ? { is: 'ok', user: outsiderOf(settings, user, roles.names) } : roles
}

const searchFor = (asked: Identifier): string => {
  const name = nameOf(asked)
  if (asked.kind === 'email') return `users-by-email?email=${encodeURIComponent(name)}`
  const field = asked.kind === 'mobile' ? 'phone_number' : 'username'
  return `users?${new URLSearchParams({ search_engine: 'v3', q: `${field}:${quoted(name)}`, per_page: String(perPage) })}`
}

/** A phrase of Auth0's search language. */
export const quoted = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`

const read = (heard: Heard | undefined, scope: string, now: Date): Awaited<ReturnType<Get>> => {
  if (!heard) return silent('Auth0’s Management API')
  const { status, body } = heard
  if (status === 200) return { is: 'ok', body }
  if (status === 404) return { is: 'not_found' }
  if (status === 401) return misconfigured('Auth0’s Management API does not take the token that Auth0 gave out for it')
  if (status === 403) return misconfigured(`The management application lacks the scope ${scope}`)
  if (status === 429) return rateLimited('Auth0’s Management API', heard, now)
  return strange('Auth0’s Management API', heard)
}

type Token = { value: string; expiresAt: number } | Trouble

/** One request for all who ask at once; `not` is a token that turned out to be of no use. */
const cached = ({ clock }: SourceTools, request: () => Promise<Token>) => {
  let kept: Promise<Token> | undefined
  return async (not?: string): Promise<string | Trouble> => {
    const asked = kept
    const known = await asked
    const usable = known && 'value' in known && known.value !== not && known.expiresAt > clock.now().getTime()
    if (usable) return known.value
    if (kept === asked) kept = request()
    const fresh = await kept
    if (!fresh || !('value' in fresh)) return fresh ?? silent('Auth0')
    return fresh.value
  }
}

const tokens = z.looseObject({ access_token: z.string().min(1), expires_in: z.number().positive() })

const requestToken = async (
  { fetch, clock }: SourceTools,
  base: string,
  id: string,
  secret: string,
): Promise<Token> => {
  const audience = `${base}/api/v2/`
  const body = { grant_type: 'client_credentials', client_id: id, client_secret: secret, audience }
  const heard = await ask(fetch, `${base}/oauth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!heard) return silent('Auth0')
  if (heard.status === 429) return rateLimited('Auth0', heard, clock.now())
  if ([400, 401, 403, 404].includes(heard.status) && heard.body !== undefined)
    return misconfigured(`Auth0 gives the management application no token for ${audience} (status ${heard.status})`)
  const read = tokens.safeParse(heard.body)
  if (heard.status !== 200 || !read.success) return strange('Auth0', heard)
  // A minute less, for clocks differ and requests take their time.
  return { value: read.data.access_token, expiresAt: clock.now().getTime() + (read.data.expires_in - 60) * 1000 }
}
