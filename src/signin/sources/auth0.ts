import type { Identifier } from '../../directory/identifiers.ts'
import { inTime, misconfigured, silent, unavailable } from './asking.ts'
import { listUsers } from './auth0-list.ts'
import { type LoggedIn, logIn } from './auth0-login.ts'
import { findUser, type Get, getUser, openManagement } from './auth0-management.ts'
import { type Auth0Settings, auth0Settings } from './auth0-settings.ts'
import { trySettings } from './auth0-trial.ts'
import { askedFor, outsiderOfClaims } from './auth0-user.ts'
import type { Checked, Found, Source, SourceTools } from './source.ts'

/**
 * A database connection of an Auth0 tenant. Passwords go to its Resource Owner Password grant; who somebody is comes
 * from its Management API, or, without that, from the ID token alone.
 */
export const auth0: Source<Auth0Settings> = {
  name: 'auth0',
  settings: auth0Settings,
  secrets: ['client_secret', 'management_client_secret'],
  open(settings, tools) {
    const get = openManagement(settings, tools)
    const late = silent('Auth0')
    return {
      check: (asked) => inTime(check(settings, tools, get, asked), late),
      find: ({ identifier }) => inTime(find(settings, get, identifier), late),
      test: () => inTime(trySettings(settings, tools, get), [{ name: 'Auth0', ok: false, detail: late.detail }]),
      ...(get ? { list: (cursor) => inTime(listUsers(settings, get, cursor), late) } : {}),
    }
  },
}

interface Asked {
  identifier: Identifier
  password: string
  ip: string
}

const check = async (
  settings: Auth0Settings,
  tools: SourceTools,
  get: Get | undefined,
  asked: Asked,
): Promise<Checked> => {
  // Auth0 takes such a request for malformed, which would look like a fault of the settings.
  if (asked.password === '' || asked.password.length > longestPassword) return { is: 'invalid' }
  const told = await logIn(settings, tools, asked)
  if (told.is === 'ok') return isWhoTheySay(await identify(settings, get, told.claims), asked.identifier)
  if (told.is === 'mfa_required') return secondFactor(await find(settings, get, asked.identifier))
  if (told.is === 'password_leaked') return leaked(await find(settings, get, asked.identifier))
  return told
}

const longestPassword = 1_000

type Claims = Extract<LoggedIn, { is: 'ok' }>['claims']

const identify = async (settings: Auth0Settings, get: Get | undefined, claims: Claims): Promise<Found> =>
  get ? getUser(settings, get, claims.sub) : { is: 'ok', user: outsiderOfClaims(settings, claims) }

const isWhoTheySay = (found: Found, asked: Identifier): Checked => {
  if (found.is === 'not_found') return unavailable('Auth0 let somebody in whom its Management API does not know')
  if (found.is !== 'ok') return found
  const user = askedFor(asked, found.user)
  if (!user) return somebodyElse
  // Auth0 may ask for a factor only where a sign-in looks odd; nobody loses theirs over moving.
  const { multifactor } = user.claims
  return { is: Array.isArray(multifactor) && multifactor.length > 0 ? 'mfa_required' : 'ok', user }
}

/** The password was right, but the answer does not say whose it was. */
const secondFactor = (found: Found): Checked => {
  if (found.is === 'not_found') return unavailable('Auth0 asked for a second factor of somebody it does not know')
  return found.is === 'ok' ? { is: 'mfa_required', user: found.user } : found
}

/** Whoever it is has to choose another; where nobody can say who, our message finds them by their address. */
const leaked = (found: Found): Checked => ({ is: 'must_reset', user: found.is === 'ok' ? found.user : undefined })

const find = async (settings: Auth0Settings, get: Get | undefined, asked: Identifier): Promise<Found> => {
  if (!get) return noManagement
  const found = await findUser(settings, get, asked)
  if (found.is !== 'ok') return found
  const user = askedFor(asked, found.user)
  return user ? { is: 'ok', user } : somebodyElse
}

const somebodyElse = unavailable('Auth0 answered about somebody else than was asked for')

const noManagement = misconfigured(
  'Only the Management API can say who somebody is: set management_client_id and management_client_secret. It is needed ' +
    'for whoever has a second factor in Auth0, forgot their password, or comes in by a code or a link',
)
