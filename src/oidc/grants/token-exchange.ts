import { currentWork } from '../../db/work.ts'
import * as audit from '../../directory/audit.ts'
import { exchangeGrant } from '../../directory/client-metadata.ts'
import type { TokenExchange } from '../../directory/token-exchange.ts'
import type { Services } from '../../services.ts'
import { findAccount, isAlive } from '../accounts.ts'
import { carry } from '../carried.ts'
import { errors, type KoaContextWithOIDC } from '../engine.ts'
import { resourceServerOf } from '../features/resources.ts'
import { type Presented, readPresented } from '../presented.ts'
import { type Held, heldBy, refuseUnheld } from '../proofs.ts'
import { seenHere } from '../seen.ts'
import type { GrantRoom, GrantType } from './index.ts'

const tokenType = (name: string) => `urn:ietf:params:oauth:token-type:${name}`

// An ID token says who signed in and lets nobody do anything (RFC 8725 section 3.12 tells the kinds apart).
const accepted: ReadonlySet<unknown> = new Set([tokenType('access_token'), tokenType('jwt')])

/** How many act for one another at most. */
const longestChain = 4

/**
 * Token exchange (RFC 8693): an access token of a person for another one, of another client or for another resource. In
 * the person's own name (impersonation), or with whoever acts for them in `act` (delegation); as the client's policy says.
 */
export const tokenExchange = (services: Services): GrantType => ({
  name: exchangeGrant,
  parameters: [
    'subject_token',
    'subject_token_type',
    'actor_token',
    'actor_token_type',
    'requested_token_type',
    'resource',
    'audience',
    'scope',
  ],
  async handle(ctx, room) {
    const client = ctx.oidc.client
    const policy = client && ((await room.findClient(client.clientId))?.metadata.token_exchange ?? undefined)
    if (!client || !policy) throw new errors.UnauthorizedClient('this client may not exchange tokens')
    const requested = textOf(ctx, 'requested_token_type')
    if (requested !== undefined && requested !== tokenType('access_token'))
      throw new errors.InvalidRequest('only an access token can be had for a token')
    const held = await heldBy(ctx, services)
    const exchange = { services, room, policy, held }
    const subject = await subjectOf(ctx, exchange)
    const act = await actOf(ctx, exchange, subject)
    await issue(ctx, exchange, subject, act)
  },
})

interface Exchange {
  services: Services
  room: GrantRoom
  policy: TokenExchange
  held: Held
}

const textOf = ({ oidc }: KoaContextWithOIDC, name: string): string | undefined => {
  const value = oidc.params?.[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

const read = async (
  ctx: KoaContextWithOIDC,
  { services, room, held }: Exchange,
  name: 'subject_token' | 'actor_token',
): Promise<Presented> => {
  const value = textOf(ctx, name)
  if (!value || !accepted.has(textOf(ctx, `${name}_type`)))
    throw new errors.InvalidRequest(`${name} has to be an access token, and ${name}_type has to say so`)
  const found = await readPresented(ctx, { keys: room.keys, clock: services.clock }, value)
  const client = found && (await room.findClient(found.clientId))
  // One answer for all that is wrong with a token (RFC 8693 section 2.2.2).
  if (!found || client?.status !== 'active') throw new errors.InvalidRequest(`${name} is not valid here`)
  refuseUnheld(held, found)
  return found
}

type Subject = Presented & { accountId: string }

const subjectOf = async (ctx: KoaContextWithOIDC, exchange: Exchange): Promise<Subject> => {
  const subject = await read(ctx, exchange, 'subject_token')
  const { accountId } = subject
  const own = subject.clientId === ctx.oidc.client?.clientId
  if (exchange.policy.subjects === 'own' && !own)
    throw new errors.InvalidRequest('subject_token was given to another client')
  const { services, room } = exchange
  const account =
    accountId === undefined ? undefined : await findAccount({ services, workspace: room.workspace }, ctx, accountId)
  if (accountId === undefined || !account) throw new errors.InvalidRequest('subject_token is not valid here')
  ctx.oidc.entity('Account', account)
  return { ...subject, accountId }
}

/** Who acts for somebody; `act` in it is who acted for them before (RFC 8693 section 4.1). */
interface Act {
  sub: string
  client_id?: string
  act?: Act
}

/** Who acts from now on. Whoever acted before stays in the token, also where nobody is added. */
const actOf = async (ctx: KoaContextWithOIDC, exchange: Exchange, subject: Subject): Promise<Act | undefined> => {
  const before = subject.told.act as Act | undefined
  const acting = textOf(ctx, 'actor_token') !== undefined
  if (!acting && textOf(ctx, 'actor_token_type') !== undefined)
    throw new errors.InvalidRequest('actor_token_type goes with an actor_token')
  const { policy, services, room } = exchange
  if (!acting) {
    if (!policy.impersonation) throw new errors.InvalidRequest('this client has to say who acts, by an actor_token')
    return before
  }
  if (!policy.delegation) throw new errors.InvalidRequest('this client may not act for somebody by an actor_token')
  const actor = await read(ctx, exchange, 'actor_token')
  if (actor.clientId !== ctx.oidc.client?.clientId)
    throw new errors.InvalidRequest('actor_token was given to another client')
  if (!(await isAlive({ services, workspace: room.workspace }, ctx.oidc.client, actor)))
    throw new errors.InvalidRequest('actor_token is not valid here')
  if (lengthOf(before) >= longestChain) throw new errors.InvalidRequest('too many act for one another already')
  const who = actor.accountId === undefined ? { sub: actor.clientId } : { sub: actor.accountId }
  return { ...who, client_id: actor.clientId, ...(before ? { act: before } : {}) }
}

const lengthOf = (act: Act | undefined): number => (act ? 1 + lengthOf(act.act) : 0)

const issue = async (
  ctx: KoaContextWithOIDC,
  exchange: Exchange,
  subject: Subject,
  act: Act | undefined,
): Promise<void> => {
  const { provider } = ctx.oidc
  const client = ctx.oidc.client as NonNullable<typeof ctx.oidc.client>
  const target = targetOf(ctx, exchange, subject)
  const scope = scopeOf(ctx, exchange, subject, target)
  const left = subject.expiresAt - Math.floor(exchange.services.clock.now().getTime() / 1000)
  if (left < 1) throw new errors.InvalidRequest('subject_token is not valid here')
  const token = new provider.AccessToken({ accountId: subject.accountId, client, gty: 'token_exchange' } as never)
  if (target) token.resourceServer = new provider.ResourceServer(target.identifier, target.server)
  Object.assign(token, { scope, expiresIn: Math.min(token.expiration, left) })
  if (target?.server.accessTokenFormat !== 'jwt') await hang(ctx, token, subject, left)
  bind(token, subject, exchange.held)
  carry(token, { ...authenticationOf(subject), ...(act ? { act } : {}) })
  ctx.oidc.entity('AccessToken', token)
  note(ctx, exchange, subject, { target: target?.identifier, scope, act })
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: tokenType('access_token'),
    token_type: token.tokenType,
    expires_in: token.expiration,
    ...(scope ? { scope } : {}),
  }
}

type Token = InstanceType<KoaContextWithOIDC['oidc']['provider']['AccessToken']>

/** The resource that the token is for: what was asked for, else what the subject's is for; undefined for our own userinfo. */
const targetOf = (ctx: KoaContextWithOIDC, { policy, room }: Exchange, { audience }: Subject) => {
  const resource = textOf(ctx, 'resource')
  const named = textOf(ctx, 'audience')
  if (resource !== undefined && named !== undefined && resource !== named)
    throw new errors.InvalidTarget('one token is for one resource')
  const identifier = resource ?? named ?? audience
  if (identifier === undefined) return undefined
  if (!policy.resources.includes(identifier))
    throw new errors.InvalidTarget('this client may not exchange tokens for this resource')
  return { identifier, server: resourceServerOf(room.resources, ctx.oidc.client ?? {}, identifier) }
}

/** What the token may do: never more than its subject's, unless the policy says so; never more than its client may have. */
const scopeOf = (
  ctx: KoaContextWithOIDC,
  { policy }: Exchange,
  { scopes }: Subject,
  target: ReturnType<typeof targetOf>,
): string => {
  const registered = target ? target.server.scope : ctx.oidc.client?.scope
  const may = registered === undefined ? scopes : new Set(registered.split(' ').filter(Boolean))
  const wider = target !== undefined && policy.wider_scopes
  const most = new Set([...may].filter((scope) => (wider || scopes.has(scope)) && scope !== 'offline_access'))
  const asked = textOf(ctx, 'scope')?.split(' ').filter(Boolean)
  const beyond = asked?.find((scope) => !most.has(scope))
  if (beyond !== undefined) throw new errors.InvalidScope('this is more than the subject_token may do', beyond)
  return [...(asked ? new Set(asked) : most)].join(' ')
}

/** What is asked of us about hangs on what its subject hangs on, where that is the client's own; else on a grant as short as it. */
const hang = async (ctx: KoaContextWithOIDC, token: Token, { accountId, clientId, kept }: Subject, left: number) => {
  const client = ctx.oidc.client as NonNullable<typeof ctx.oidc.client>
  if (kept?.grantId !== undefined && clientId === client.clientId) {
    Object.assign(token, kept)
    return
  }
  const grant = new ctx.oidc.provider.Grant({ accountId, clientId: client.clientId, expiresIn: left } as never)
  if (token.scope && !token.aud) grant.addOIDCScope(token.scope)
  Object.assign(token, { grantId: await grant.save() })
}

/** A token that was bound stays bound, to what this request has shown. */
const bind = (token: Token, subject: Subject, { jkt, certificate, certificateBound }: Held): void => {
  if (jkt !== undefined) token.setThumbprint('jkt', jkt)
  else if (certificate && (certificateBound || subject['x5t#S256'] !== undefined))
    token.setThumbprint('x5t', certificate as never)
}

const authenticationOf = ({ told }: Subject): Record<string, unknown> =>
  Object.fromEntries(
    ['acr', 'amr', 'auth_time'].flatMap((name) => (told[name] === undefined ? [] : [[name, told[name]]])),
  )

const note = (
  ctx: KoaContextWithOIDC,
  { services, room }: Exchange,
  subject: Subject,
  { target, scope, act }: { target: string | undefined; scope: string; act: Act | undefined },
): void => {
  const poolId = seenHere()?.seen.accounts.get(subject.accountId)?.poolId
  const about = {
    workspaceId: room.workspace.id,
    poolId,
    userId: subject.accountId,
    clientId: ctx.oidc.client?.clientId,
  }
  const data = {
    subject_client: subject.clientId,
    resource: target ?? null,
    scopes: scope.split(' ').filter(Boolean),
    actor: act?.sub ?? null,
  }
  currentWork()?.events.push(audit.event(services.clock.now(), about, { type: 'token.exchanged', data }))
}
