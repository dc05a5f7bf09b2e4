import { randomBytes } from 'node:crypto'
import { type LoggedIn, logIn } from './auth0-login.ts'
import type { Get } from './auth0-management.ts'
import type { Auth0Settings } from './auth0-settings.ts'
import type { SourceTools, Tried } from './source.ts'

/** Tries the password grant with somebody who cannot exist, and each scope of the Management API. */
export const trySettings = async (
  settings: Auth0Settings,
  tools: SourceTools,
  get: Get | undefined,
): Promise<Tried[]> => {
  const [grant, ...scopes] = await Promise.all([tryGrant(settings, tools), ...(get ? tryScopes(get) : [])])
  return [grant, ...(get ? scopes : [noManagement])]
}

const tryGrant = async (settings: Auth0Settings, tools: SourceTools): Promise<Tried> => {
  const typed = `lido-test-${randomBytes(8).toString('hex')}@example.invalid`
  const password = randomBytes(24).toString('base64url')
  const told = await logIn(settings, tools, { identifier: { kind: 'email', value: typed, typed }, password })
  return { name: 'Password grant', ok: told.is === 'invalid', detail: explain(told) }
}

const explain = (told: LoggedIn): string => {
  if ('detail' in told) return told.detail
  if (told.is === 'invalid') return 'Auth0 takes passwords, and knows nobody who cannot exist'
  if (told.is === 'ok') return 'Auth0 let somebody in who cannot exist: is the connection an import that takes anybody?'
  return 'Auth0 turned the test away: there is no such audience, an Action denies everybody, or its attack protection did'
}

const tryScopes = (get: Get): Promise<Tried>[] => [
  tryScope(get, 'read:users', 'users?search_engine=v3&per_page=1'),
  tryScope(get, 'read:roles', `users/${encodeURIComponent('auth0|000000000000000000000000')}/roles?per_page=1`),
]

const tryScope = async (get: Get, scope: string, path: string): Promise<Tried> => {
  const got = await get(path, scope)
  const ok = got.is === 'ok' || got.is === 'not_found'
  return { name: `Management API, ${scope}`, ok, detail: 'detail' in got ? got.detail : 'The Management API answers' }
}

/** Not wrong, but less than there could be. */
const noManagement: Tried = {
  name: 'Management API',
  ok: true,
  detail:
    'Not set: nobody with a second factor in Auth0 can come over, nor anybody who forgot their password or signs in ' +
    'by a code or a link; roles and app_metadata stay unknown',
}
