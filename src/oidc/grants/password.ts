import { oneFactor } from '../../directory/acr.ts'
import type { Client } from '../../directory/clients.ts'
import type { User } from '../../directory/users.ts'
import type { Workspace } from '../../directory/workspaces.ts'
import { Problem } from '../../platform/problem.ts'
import type { Services } from '../../services.ts'
import { findAccount } from '../accounts.ts'
import { errors, type KoaContextWithOIDC } from '../engine.ts'
import { bindTo, type Held, heldBy } from '../proofs.ts'
import { marked } from '../said.ts'
import { seeAccount, seenHere } from '../seen.ts'
import type { GrantType } from './index.ts'

/** What a client asked in a person's name. */
export interface PasswordRequest {
  workspace: Workspace
  client: Client
  username: string
  password: string
  pool: string | undefined
  scopes: string[]
  ip: string
}

export type PasswordAnswer =
  | { ok: true; user: User; amr: string[]; said?: Said | undefined }
  | { ok: false; why: 'invalid' | 'too-many' | 'second-factor' | 'unavailable' | 'denied' | 'interaction' }

/** What the operator's script wants told, as it is and as the grant keeps it. */
interface Said {
  claims: Record<string, unknown>
  sealed: string
}

/**
 * The password grant (RFC 6749 section 4.3), for applications that cannot move yet. RFC 9700 section 2.4 forbids it: a
 * client has to be opted in by its `grant_types`. `check` is the page's own check, with its counters and words.
 */
export const passwordGrant = (
  services: Services,
  check: (request: PasswordRequest) => Promise<PasswordAnswer>,
): GrantType => ({
  name: 'password',
  parameters: ['username', 'password', 'scope', 'pool'],
  async handle(ctx, { workspace, findClient }) {
    const { client, params } = ctx.oidc
    const registered = client && (await findClient(client.clientId))
    if (!registered) throw new errors.InvalidClient('client not found')
    const { username, password, pool } = params ?? {}
    if (typeof username !== 'string' || typeof password !== 'string') {
      throw new errors.InvalidRequest('missing required parameter(s) username, password')
    }
    const held = await heldBy(ctx, services)
    const request = { workspace, client: registered, username, password, scopes: allowedScopes(ctx), ip: ctx.ip }
    const answer = await check({ ...request, pool: typeof pool === 'string' ? pool : undefined }).catch(reword)
    if (!answer.ok) throw refusals[answer.why]()
    const here = seenHere()
    if (here) seeAccount(here.seen, answer.user)
    const account = await findAccount({ services, workspace }, ctx, answer.user.id)
    if (!account) throw wrong()
    ctx.oidc.entity('Account', account)
    await issue(ctx, answer, held)
  },
})

const issue = async (
  ctx: KoaContextWithOIDC,
  { user, amr, said }: Extract<PasswordAnswer, { ok: true }>,
  held: Held,
): Promise<void> => {
  const { provider, client } = ctx.oidc
  if (!client) throw new errors.InvalidClient('client not found')
  const scopes = allowedScopes(ctx)
  const grant = new provider.Grant({ accountId: user.id, clientId: client.clientId })
  if (scopes.length > 0) grant.addOIDCScope(scopes.join(' '))
  if (said) Object.assign(grant, { said: said.sealed })
  const grantId = await grant.save()
  ctx.oidc.entity('Grant', grant)
  const shared = { accountId: user.id, client, grantId, gty: 'password', scope: scopes.join(' ') }
  const accessToken = new provider.AccessToken(shared)
  bindTo(accessToken, held)
  ctx.oidc.entity('AccessToken', accessToken)
  const authTime = Math.floor(Date.now() / 1000)
  const session = { acr: oneFactor, amr, authTime }
  const value = await accessToken.save()
  const refreshToken = client.grantTypeAllowed('refresh_token')
    ? await refreshTokenFor(ctx, accessToken, { ...shared, ...session, rotations: 0 })
    : undefined
  ctx.body = {
    access_token: value,
    expires_in: accessToken.expiration,
    token_type: accessToken.tokenType,
    ...(shared.scope ? { scope: shared.scope } : {}),
    ...(refreshToken ? { refresh_token: refreshToken } : {}),
    ...(scopes.includes('openid') ? { id_token: await idToken(ctx, shared.scope, session, said) } : {}),
  }
}

type Engine = KoaContextWithOIDC['oidc']['provider']

/** A refresh token; whoever has no secret can use it with the same key or certificate only, as in the engine's grants. */
const refreshTokenFor = (
  { oidc: { provider, client } }: KoaContextWithOIDC,
  accessToken: InstanceType<Engine['AccessToken']>,
  about: ConstructorParameters<Engine['RefreshToken']>[0],
): Promise<string> => {
  const token = new provider.RefreshToken(about)
  const { jkt, 'x5t#S256': x5t } = accessToken
  if (client?.clientAuthMethod === 'none')
    Object.assign(token, { ...(jkt ? { jkt } : {}), ...(x5t ? { 'x5t#S256': x5t } : {}) })
  return token.save()
}

const idToken = async (
  ctx: KoaContextWithOIDC,
  scope: string,
  session: { acr: string; amr: string[]; authTime: number },
  said: Said | undefined,
) => {
  const { acr, amr, authTime: auth_time } = session
  const { account, provider } = ctx.oidc
  const claims = await account?.claims('id_token', scope, {}, [])
  const token = new provider.IdToken({ ...claims, ...marked(said?.claims ?? {}), acr, amr, auth_time }, { ctx })
  Object.assign(token, { scope: 'openid' })
  return token.issue({ use: 'idtoken' })
}

const reword = (error: unknown): never => {
  if (error instanceof Problem && error.status === 400) throw new errors.InvalidRequest(error.message)
  throw error
}

const wrong = () => new errors.InvalidGrant('the username or the password is wrong')

/** Told only after the right password: this door takes nothing else, so the person has to come by the page. */
const incomplete = () =>
  new errors.CustomOIDCProviderError('mfa_required', 'a second factor is needed; sign in by the page')

/** Whoever knows the password does not answer: that says nothing of it, and a client may ask again. */
const away = () => {
  const error = new errors.CustomOIDCProviderError('temporarily_unavailable', 'nobody can check the password now')
  return Object.assign(error, { status: 503, statusCode: 503 })
}

/** Told only after the right password, too. */
const denied = () => new errors.AccessDenied('the operator of the service does not let the person in')
const elsewhere = () =>
  new errors.CustomOIDCProviderError('interaction_required', 'the person has to go on by the page')

const refusals = {
  denied,
  interaction: elsewhere,
  invalid: wrong,
  'too-many': wrong,
  'second-factor': incomplete,
  unavailable: away,
}

const allowedScopes = (ctx: KoaContextWithOIDC): string[] => {
  const asked = String(ctx.oidc.params?.scope ?? '')
    .split(' ')
    .filter(Boolean)
  const allowed = new Set(ctx.oidc.client?.scope?.split(' ') ?? asked)
  return asked.filter((scope) => allowed.has(scope) && known.has(scope))
}

const known = new Set(['openid', 'profile', 'email', 'phone', 'address', 'offline_access'])
