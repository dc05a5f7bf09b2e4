import { createHash } from 'node:crypto'
import { decodeJwt } from 'jose'
import { acrValues } from '../directory/acr.ts'
import { pathOf } from '../directory/address.ts'
import { authMethods } from '../directory/client-protocol.ts'
import type { Workspace } from '../directory/workspaces.ts'
import type { Keyring } from '../platform/secrets.ts'
import { isStorable } from '../platform/storable.ts'
import { languages } from '../platform/words.ts'
import type { Services } from '../services.ts'
import { findAccount, toldFor } from './accounts.ts'
import { enabledJWA } from './algorithms.ts'
import { limitAssertion } from './assertions.ts'
import { withCarried } from './carried.ts'
import { claimsOfScopes, mappedNames } from './claims.ts'
import { isFirstParty } from './clients.ts'
import { loadGrant } from './consent.ts'
import { type Configuration, errors, type KoaContextWithOIDC } from './engine.ts'
import { engineKeys } from './engine-keys.ts'
import { nobodyOf } from './features/ciba.ts'
import { featuresOf } from './features/index.ts'
import { engineFetch } from './fetch.ts'
import { lifetimesOf } from './lifetimes.ts'
import { pairwise } from './pairwise.ts'
import { promptsOf, promptValues } from './prompts.ts'
import { registrationTold } from './registration.ts'
import { seenHere } from './seen.ts'
import { hintedPerson } from './subject-reference.ts'
import type { Wiring } from './wiring.ts'

/** The engine's configuration for a workspace: only what is switched on, so that discovery tells the truth. */
export const configurationOf = (wiring: Wiring): Configuration => {
  const { services, workspace, keys, adapter } = wiring
  const { lifetimes } = workspace.settings
  return {
    ...(adapter ? { adapter } : {}),
    jwks: engineKeys(keys),
    cookies: cookiesOf(services, workspace),
    routes,
    claims: { ...claimsOfScopes, profile: [...(claimsOfScopes.profile ?? []), ...mappedNames(workspace.connections)] },
    scopes: ['openid', 'offline_access'],
    subjectTypes: ['public', 'pairwise'],
    pairwiseIdentifier: (_ctx, accountId, client) => pairwise(workspace, client, accountId),
    // What a sector says is looked at when a client is written (directory/sector.ts), not whenever it is read.
    sectorIdentifierUriValidate: () => false,
    responseTypes: ['code', 'code id_token', 'id_token'],
    clientAuthMethods: authMethods.filter((method) => isOn(services.config, method)),
    enabledJWA,
    assertJwtClientAuthClaimsAndHeader: limitAssertion(services.clock),
    pkce: { required: (_ctx, client) => client.require_pkce !== false },
    // OpenID Connect Core 1.0 section 3.1.2.1: whoever says no redirect_uri gets a page, not a redirect.
    allowOmittingSingleRegisteredRedirectUri: false,
    acrValues: [...acrValues],
    discovery: {
      ...registrationTold(services, workspace),
      ui_locales_supported: [...languages],
      prompt_values_supported: promptValues(workspace),
    },
    // FAPI 2.0 Security Profile section 5.3.2.1: what begins within 10 seconds is taken.
    clockTolerance: 10,
    extraClientMetadata: {
      properties: [
        'first_party',
        'connections',
        'acr_values_default',
        'resources',
        'require_pkce',
        'profile',
        'registered_by',
        'id_token_claims',
        ...ownSettings,
      ],
    },
    extraParams: { idp_hint: lookOver },
    features: featuresOf(wiring),
    extraTokenClaims: async (ctx, token) => withCarried(token, await toldFor(wiring, ctx, token)),
    findAccount: async (ctx, sub) =>
      nobodyOf(ctx, sub) ?? findAccount(wiring, ctx, hintedPerson(services.keyring, workspace, ctx, sub)),
    loadExistingGrant: (ctx) => loadGrant(services, workspace, ctx),
    interactions: { policy: promptsOf(workspace), url: (_ctx, { uid }) => `${pathOf(workspace)}/signin/${uid}` },
    issueRefreshToken: async (_ctx, client, source) =>
      client.grantTypeAllowed('refresh_token') && (source.scopes.has('offline_access') || isFirstParty(client)),
    // A device stays signed in when the browser that let it in does not.
    expiresWithSession: async (_ctx, token) => token.kind !== 'DeviceCode' && !token.scopes.has('offline_access'),
    // FAPI 2.0 Security Profile section 5.3.2.1: refresh tokens that are bound to a key stay the same.
    rotateRefreshToken: (ctx) => !ctx.oidc.client?.profile && seenHere()?.seen.successor === undefined,
    clientBasedCORS: isFromClient,
    renderError: (ctx, out) => wiring.pages.problem(ctx, workspace, out),
    fetch: engineFetch(services.fetch),
    ttl: lifetimesOf(lifetimes, services.clock),
  }
}

/** What a client says of its people's sessions and of its tokens (directory/client-sessions.ts). */
const ownSettings = ['sso', 'access_token_lifetime', 'id_token_lifetime', 'refresh_idle', 'refresh_absolute']

/** Certificates come from a proxy: how a client may authenticate by them depends on what it hands on. */
const isOn = (config: Services['config'], method: (typeof authMethods)[number]): boolean => {
  if (method === 'self_signed_tls_client_auth') return config.clientCertHeader !== undefined
  if (method !== 'tls_client_auth') return true
  return config.clientCertHeader !== undefined && config.clientCertVerifiedHeader !== undefined
}

const routes = {
  authorization: '/authorize',
  token: '/token',
  userinfo: '/userinfo',
  jwks: '/jwks',
  end_session: '/logout',
  introspection: '/introspect',
  pushed_authorization_request: '/par',
  revocation: '/revoke',
  device_authorization: '/device_authorization',
  code_verification: '/device',
  backchannel_authentication: '/backchannel',
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

/** The engine calls it once a request, when it has read all parameters, also those of a signed request. */
const lookOver = (ctx: KoaContextWithOIDC): void => {
  refuseUnstorable(ctx)
  keepOfflineAccess(ctx)
}

const refuseUnstorable = ({ oidc }: KoaContextWithOIDC): void => {
  const [odd] = Object.entries(oidc.params ?? {}).find(([, value]) => !isStorable(value)) ?? []
  if (odd) throw new errors.InvalidRequest(`${odd} has a character that is none`)
}

/**
 * OpenID Connect Core 1.0 section 11 lets offline access rest on other conditions than a consent prompt: for our own
 * clients the operator has consented. The engine has dropped the scope by now; this puts it back.
 */
const keepOfflineAccess = (ctx: KoaContextWithOIDC): void => {
  const { client, params } = ctx.oidc
  const asked = String(askedIn(ctx).scope ?? '')
  if (!client || !params || !isFirstParty(client) || !client.grantTypeAllowed('refresh_token')) return
  const scopes = new Set(String(params.scope ?? '').split(' '))
  if (asked.split(' ').includes('offline_access') && scopes.has('openid'))
    params.scope = [...scopes.add('offline_access')].join(' ')
}

/**
 * Whether a page may ask for its client: it is of an origin that people are sent back to. Pages of keycloak-js send
 * cookies along to /token, and read an answer only where that says that they may; nothing there looks at cookies.
 */
const isFromClient: Configuration['clientBasedCORS'] = (ctx, origin, client) => {
  const allowed = (client.redirectUris ?? []).some((uri) => originOf(uri) === origin)
  if (allowed && ctx.oidc.route === 'token') ctx.set('Access-Control-Allow-Credentials', 'true')
  return allowed
}

/** What was asked for, as it came: where a request is signed or pushed, what stands beside it counts for nothing. */
const askedIn = ({ oidc, query }: KoaContextWithOIDC): { scope?: unknown } => {
  const body = oidc.body as { request?: unknown; scope?: unknown } | undefined
  const pushed = oidc.entities.PushedAuthorizationRequest as { request?: string } | undefined
  const request = pushed?.request ?? query.request ?? body?.request
  if (typeof request === 'string') return decodeJwt(request)
  return query.scope === undefined ? (body ?? {}) : query
}

const originOf = (uri: string): string | undefined => (URL.canParse(uri) ? new URL(uri).origin : undefined)
