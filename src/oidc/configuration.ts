import { createHash } from 'node:crypto'
import { acrValues } from '../directory/acr.ts'
import type { ClientMetadata } from '../directory/clients.ts'
import * as groups from '../directory/groups.ts'
import * as roles from '../directory/roles.ts'
import * as users from '../directory/users.ts'
import { openConnection, type Workspace } from '../directory/workspaces.ts'
import type { Keyring } from '../platform/secrets.ts'
import { languages } from '../platform/words.ts'
import type { Services } from '../services.ts'
import { acrCheck, limitClaims } from './acr.ts'
import { claimsOf, claimsOfScopes, mappedNames } from './claims.ts'
import { loadGrant } from './consent.ts'
import { type Configuration, errors, interactionPolicy, type KoaContextWithOIDC } from './engine.ts'
import type { SigningKeys } from './keys.ts'
import { seeAccount, seenHere } from './seen.ts'

/** The pages that the engine shows, drawn by whoever knows the views. */
export interface EnginePages {
  problem(
    ctx: KoaContextWithOIDC,
    workspace: Workspace,
    error: { error: string; error_description?: string },
  ): Promise<void>
  logout(ctx: KoaContextWithOIDC, workspace: Workspace, form: { action: string; xsrf: string }): Promise<void>
  loggedOut(ctx: KoaContextWithOIDC, workspace: Workspace): Promise<void>
}

interface Wiring {
  services: Services
  workspace: Workspace
  keys: SigningKeys
  adapter: Configuration['adapter']
  pages: EnginePages
}

/** The engine's configuration for a workspace: only what is switched on, so that discovery tells the truth. */
export const configurationOf = (wiring: Wiring): Configuration => {
  const { services, workspace, keys, adapter } = wiring
  const { lifetimes } = workspace.settings
  return {
    ...(adapter ? { adapter } : {}),
    jwks: keys.jwks as NonNullable<Configuration['jwks']>,
    cookies: cookiesOf(services, workspace),
    routes,
    claims: { ...claimsOfScopes, profile: [...(claimsOfScopes.profile ?? []), ...mappedNames(workspace.connections)] },
    scopes: ['openid', 'offline_access'],
    subjectTypes: ['public'],
    responseTypes: ['code'],
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
    pkce: { required: () => true },
    // OpenID Connect Core 1.0 section 3.1.2.1: whoever says no redirect_uri gets a page, not a redirect.
    allowOmittingSingleRegisteredRedirectUri: false,
    acrValues: [...acrValues],
    discovery: { ui_locales_supported: [...languages] },
    clockTolerance: 5,
    extraClientMetadata: { properties: ['first_party', 'connections', 'acr_values_default', 'resources'] },
    extraParams: { idp_hint: keepOfflineAccess },
    features: featuresOf(wiring),
    extraTokenClaims: (_ctx, token) => toldFor(services, token),
    findAccount: (ctx, sub) => findAccount(wiring, ctx, sub),
    loadExistingGrant: (ctx) => loadGrant(services, workspace, ctx),
    interactions: { policy: policyOf(), url: (_ctx, { uid }) => `/w/${workspace.slug}/signin/${uid}` },
    issueRefreshToken: async (_ctx, client, source) =>
      client.grantTypeAllowed('refresh_token') && (source.scopes.has('offline_access') || isFirstParty(client)),
    expiresWithSession: async (_ctx, token) => !token.scopes.has('offline_access'),
    rotateRefreshToken: () => seenHere()?.seen.successor === undefined,
    clientBasedCORS: (_ctx, origin, client) => (client.redirectUris ?? []).some((uri) => originOf(uri) === origin),
    renderError: (ctx, out) => wiring.pages.problem(ctx, workspace, out),
    // Nothing that clients register is fetched: whatever asks for it is refused.
    fetch: () => Promise.reject(new Error('The engine may not fetch.')),
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? lifetimes.access_token,
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? lifetimes.access_token,
      AuthorizationCode: lifetimes.code,
      IdToken: lifetimes.id_token,
      Interaction: lifetimes.interaction,
      Session: (_ctx, { loginTs }) => {
        const since = loginTs === undefined ? 0 : nowInSeconds(services) - loginTs
        return Math.max(1, Math.min(lifetimes.session_idle, lifetimes.session_absolute - since))
      },
      Grant: lifetimes.refresh_absolute,
      // Idle time, cut by what is left of the absolute time since the first token of the family.
      RefreshToken: (_ctx, token) => {
        const since = nowInSeconds(services) - (token.iiat ?? token.iat ?? 0)
        const left = token.iiat === undefined ? lifetimes.refresh_absolute : lifetimes.refresh_absolute - since
        return Math.max(1, Math.min(lifetimes.refresh_idle, left))
      },
    },
  }
}

const routes = {
  authorization: '/authorize',
  token: '/token',
  userinfo: '/userinfo',
  jwks: '/jwks',
  end_session: '/logout',
  introspection: '/introspect',
  revocation: '/revoke',
}

const cookiesOf = ({ config, keyring }: { config: Services['config']; keyring: Keyring }, workspace: Workspace) => {
  const secure = config.publicUrl.startsWith('https:')
  // One name a workspace: all of them share an origin, and `__Host-` cookies share its one path.
  const name = createHash('sha256').update(workspace.id).digest('hex').slice(0, 10)
  const options = { httpOnly: true, sameSite: 'lax', secure, overwrite: true } as const
  return {
    keys: keyring.cookieSigner() as unknown as string[],
    names: {
      session: `${secure ? '__Host-' : ''}lido_session_${name}`,
      interaction: `${secure ? '__Secure-' : ''}lido_interaction`,
      resume: `${secure ? '__Secure-' : ''}lido_resume`,
    },
    long: { ...options, signed: false },
    // The uid of an interaction stands in its address: only the signature makes the cookie more than that.
    short: { ...options, signed: true },
  }
}

const featuresOf = ({ services, workspace, pages }: Wiring): NonNullable<Configuration['features']> => ({
  devInteractions: { enabled: false },
  clientCredentials: { enabled: true },
  claimsParameter: { enabled: true, assertClaimsParameter: limitClaims },
  revocation: {
    enabled: true,
    allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId,
  },
  introspection: {
    enabled: true,
    allowedPolicy: async (ctx, client, token) =>
      token.clientId === client.clientId && (await isAlive({ services, workspace }, ctx, token)),
  },
  pushedAuthorizationRequests: { enabled: false },
  dPoP: { enabled: false },
  resourceIndicators: {
    enabled: true,
    defaultResource: () => [],
    useGrantedResource: () => true,
    getResourceServerInfo: async (_ctx, resource, client) => {
      const scopes = (client.resources as ClientMetadata['resources'] | undefined)?.[resource]
      if (!scopes) throw new errors.InvalidTarget('this client may not ask for tokens for this resource')
      return { scope: scopes.join(' '), audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } }
    },
  },
  rpInitiatedLogout: {
    enabled: true,
    logoutSource: async (ctx, form) => {
      const [, action = '', xsrf = ''] = form.match(/action="([^"]*)".*name="xsrf" value="([^"]*)"/) ?? []
      await pages.logout(ctx, workspace, { action, xsrf })
    },
    postLogoutSuccessSource: (ctx) => pages.loggedOut(ctx, workspace),
  },
})

/** Whoever a `sub` belongs to, if they may still sign in to this client here. */
const findAccount = async (
  { services, workspace }: Pick<Wiring, 'services' | 'workspace'>,
  ctx: KoaContextWithOIDC,
  sub: string,
) => {
  const user = await findUser(services, sub)
  const account = user && accountOf(user, workspace, ctx.oidc.client?.connections as string[] | null | undefined)
  if (!account) return undefined
  return {
    ...account,
    // Asked of the database only where they are asked for: most tokens tell nothing of these.
    claims: async (_use: string, scope: string) => ({
      ...(await account.claims()),
      ...(await belongings(services, user, new Set(scope.split(' ')))),
    }),
  }
}

/** A user as the engine knows one; undefined where they may not sign in to this workspace, or not by these connections. */
export const accountOf = (user: users.User, workspace: Workspace, connections: string[] | null | undefined) => {
  const connection = openConnection(workspace, user.poolId)
  if (user.status !== 'active' || !connection) return undefined
  if (connections && !connections.includes(connection.id)) return undefined
  return { accountId: user.id, claims: async () => claimsOf(user, connection) }
}

/** What somebody belongs to and may do, where scopes ask for it. */
const belongings = async ({ db }: Services, { poolId, id }: users.User, scopes: ReadonlySet<string>) => {
  const [paths, standing] = await Promise.all([
    scopes.has('groups') ? groups.pathsOf(db, poolId, id) : undefined,
    scopes.has('roles') || scopes.has('tenant') ? roles.standingOf(db, poolId, id) : undefined,
  ])
  return {
    ...(paths ? { groups: paths } : {}),
    ...(standing && scopes.has('roles') ? { roles: standing.roles, permissions: standing.permissions } : {}),
    ...(standing?.tenantId && scopes.has('tenant') ? { tenant_id: standing.tenantId } : {}),
  }
}

/** RFC 9068 section 2.2.3.1: a token for a resource that may know of groups and roles tells them itself. */
const toldFor = async (services: Services, token: object): Promise<Record<string, unknown> | undefined> => {
  const { accountId, scopes, aud } = token as { accountId?: string; scopes?: Set<string>; aud?: unknown }
  if (!accountId || !aud || !scopes || !['groups', 'roles', 'tenant'].some((scope) => scopes.has(scope)))
    return undefined
  const user = await findUser(services, accountId)
  return user && belongings(services, user, scopes)
}

const findUser = async ({ db }: Services, sub: string) => {
  const here = seenHere()
  const known = here?.seen.accounts.get(sub)
  if (known) return known
  const found = /^[0-9a-f-]{36}$/.test(sub) ? await users.findById(db, sub) : undefined
  if (found && here) seeAccount(here.seen, found)
  return found
}

const isAlive = async (
  wiring: Pick<Wiring, 'services' | 'workspace'>,
  ctx: KoaContextWithOIDC,
  token: object,
): Promise<boolean> => {
  const { accountId } = token as { accountId?: string }
  return accountId === undefined || (await findAccount(wiring, ctx, accountId)) !== undefined
}

const policyOf = () => {
  const { Check, Prompt } = interactionPolicy
  const policy = interactionPolicy.base()
  const login = policy.get('login')
  // A session whose person was disabled, deleted or disconnected is nobody's session.
  login?.checks.add(
    new Check('account_gone', 'the account is no longer available', 'login_required', (ctx) => {
      const { oidc } = ctx as KoaContextWithOIDC
      return oidc.session?.accountId !== undefined && oidc.account === undefined
    }),
  )
  // One check of ours for every way to ask for an acr.
  for (const reason of ['essential_acr', 'essential_acrs']) login?.checks.remove(reason)
  login?.checks.add(acrCheck())
  policy.add(new Prompt({ name: 'select_account', requestable: true }), 0)
  const consent = policy.get('consent')
  consent?.checks.remove('native_client_prompt')
  consent?.checks.add(
    new Check(
      'native_client_consent',
      'native clients need the consent of the person',
      'interaction_required',
      (ctx) => {
        const { oidc } = ctx as KoaContextWithOIDC
        return oidc.client?.applicationType === 'native' && !isFirstParty(oidc.client) && !oidc.result?.consent
      },
    ),
  )
  return policy
}

const isFirstParty = (client: Record<string, unknown>): boolean => client.first_party === true

/**
 * OpenID Connect Core 1.0 section 11 lets offline access rest on other conditions than a consent prompt: for our own
 * clients the operator has consented. The engine has dropped the scope by now; this puts it back.
 */
const keepOfflineAccess = (ctx: KoaContextWithOIDC): void => {
  const { client, params } = ctx.oidc
  const asked = String(ctx.query.scope ?? (ctx.oidc.body as { scope?: unknown } | undefined)?.scope ?? '')
  if (!client || !params || !isFirstParty(client) || !client.grantTypeAllowed('refresh_token')) return
  const scopes = new Set(String(params.scope ?? '').split(' '))
  if (asked.split(' ').includes('offline_access') && scopes.has('openid'))
    params.scope = [...scopes.add('offline_access')].join(' ')
}

const nowInSeconds = ({ clock }: Services): number => Math.floor(clock.now().getTime() / 1000)

const originOf = (uri: string): string | undefined => (URL.canParse(uri) ? new URL(uri).origin : undefined)
