import type { Context } from 'koa'
import type { Acr } from '../directory/acr.ts'
import { issuerOf, pathOf } from '../directory/address.ts'
import { clientMetadata } from '../directory/client-metadata.ts'
import type { Client } from '../directory/clients.ts'
import type { Kept } from '../directory/sessions.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { randomToken, sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import type { Issuer } from './providers.ts'

/** The account page as a client of its workspace. Operators cannot choose an id like this one. */
const accountClientId = '~account'

/** Where sign-ins for the account page come back to, below a workspace. */
const accountCallback = '/account/callback'

/** Every workspace has this client, and nobody can change it: it is made here and stored nowhere. */
export const accountClient = (config: Services['config'], workspace: Workspace): Client => ({
  id: accountClientId,
  status: 'active',
  metadata: clientMetadata.parse({
    client_name: 'Account',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code'],
    redirect_uris: [`${issuerOf(config, workspace)}${accountCallback}`],
    first_party: true,
  }),
  secretHash: null,
  previousSecretHash: null,
  sealedSecret: null,
  previousSealedSecret: null,
  registeredBy: 'operator',
  createdAt: workspace.createdAt,
  updatedAt: workspace.createdAt,
})

/** The session that a browser has with a workspace. */
export interface AccountSession extends Kept {
  userId: string
  /** When its person last proved who they are, and how surely they are known since. */
  provedAt: Date
  acr: unknown
  /** By what methods (RFC 8176). */
  amr: string[]
}

/** The session of this browser, if somebody is signed in in it; a sign-in that is not finished has none. */
export const findSession = async (
  { provider, workspace }: Issuer,
  ctx: Context,
): Promise<AccountSession | undefined> => {
  const { accountId, loginTs, jti, acr, amr = [], authorizations = {} } = await provider.Session.get(ctx)
  if (!accountId || loginTs === undefined) return undefined
  const grants = Object.values(authorizations).flatMap(({ grantId }) => (grantId ? [sha256(grantId)] : []))
  return {
    workspaceId: workspace.id,
    stored: sha256(jti),
    grants,
    userId: accountId,
    provedAt: new Date(loginTs * 1000),
    acr,
    amr,
  }
}

interface Wanted {
  state: string
  lang: string
  /** Who has to prove again who they are, and how surely. */
  proof?: { acr: Acr; hint: string | undefined }
}

/**
 * Where a browser signs in for the account page, or proves again who it is. It comes back with a code that nobody
 * redeems, and that nobody can: the verifier of its challenge is kept nowhere. What counts is the session.
 */
export const signInAddress = (
  config: Services['config'],
  workspace: Workspace,
  { state, lang, proof }: Wanted,
): string => {
  const claims = proof && { id_token: { acr: { essential: true, values: [proof.acr] } } }
  const query = new URLSearchParams({
    client_id: accountClientId,
    redirect_uri: `${issuerOf(config, workspace)}${accountCallback}`,
    response_type: 'code',
    scope: 'openid',
    code_challenge: sha256(randomToken()),
    code_challenge_method: 'S256',
    state,
    ui_locales: lang,
    ...(proof ? { prompt: 'login', claims: JSON.stringify(claims) } : {}),
    ...(proof?.hint ? { login_hint: proof.hint } : {}),
  })
  return `${pathOf(workspace)}/authorize?${query}`
}
