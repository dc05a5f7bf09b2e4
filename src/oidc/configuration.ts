import { createHash } from 'node:crypto'
import { acrValues } from '../directory/acr.ts'
import type { Workspace } from '../directory/workspaces.ts'
import type { Keyring } from '../platform/secrets.ts'
import { languages } from '../platform/words.ts'
import type { Services } from '../services.ts'
import { findAccount, toldFor } from './accounts.ts'
import { claimsOfScopes, mappedNames } from './claims.ts'
import { isFirstParty } from './clients.ts'
import { loadGrant } from './consent.ts'
import type { Configuration, KoaContextWithOIDC } from './engine.ts'
import { featuresOf } from './features/index.ts'
import { promptsOf } from './prompts.ts'
import { seenHere } from './seen.ts'
import type { Wiring } from './wiring.ts'

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
    interactions: { policy: promptsOf(), url: (_ctx, { uid }) => `/w/${workspace.slug}/signin/${uid}` },
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
