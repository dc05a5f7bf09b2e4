import { isAcr, phishingResistant, reaches, twoFactors } from '../directory/acr.ts'
import * as audit from '../directory/audit.ts'
import type { Identifier } from '../directory/identifiers.ts'
import { readIdentifier } from '../directory/identifiers.ts'
import * as links from '../directory/links.ts'
import type { PoolUpstream } from '../directory/pool-upstream.ts'
import { isKeptElsewhere, staysElsewhere } from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import type { Connection } from '../directory/workspaces.ts'
import { assess } from './assess.ts'
import { type Attempt, restart } from './attempt.ts'
import { alertOf, type Back } from './departing.ts'
import type { Word } from './form.ts'
import { learntFrom, sealLearnt } from './learnt.ts'
import { tellOwner } from './notices.ts'
import { changeOwn } from './own-change.ts'
import { isAway } from './pools/federated.ts'
import { openPool } from './pools/index.ts'
import type { AwayPool } from './pools/pool.ts'
import { proofOf } from './prove.ts'
import { openConnections, type Scene } from './scene.ts'
import type { Action, Stage } from './stage.ts'
import type { Arrived } from './upstreams/upstream.ts'

/** The name of a proof that was given elsewhere, in the place of a method's. */
const upstreamProof = 'upstream'

/** The attempt of somebody who is back from an upstream: with one proof, an offer, or what kept them out. */
export const arrive = async (stage: Stage, { connection, away, outcome }: Back): Promise<Stage> => {
  const { scene } = stage
  const attempt: Attempt = { ...restart(stage.attempt), pool: connection.pool.id, notice: undefined, alert: undefined }
  const fresh = { scene, attempt, found: undefined }
  if (outcome.is !== 'ok') {
    fail(scene, connection, undefined, outcome.is)
    return { ...fresh, attempt: { ...attempt, alert: alertOf(outcome, connection) } }
  }
  const worth = worthOf(scene, away.upstream, outcome)
  const linked = await links.find(scene.services.db, connection.pool.id, outcome.user.externalId)
  if (linked && away.upstream.linking === 'off') return turnAway(fresh, connection, undefined)
  if (linked) return comeInLinked(fresh, connection, linked, worth)
  const learnt = learntAt(scene, attempt, connection, outcome)
  const arrival = { connection: connection.id, outsider: outcome.user, linking: false, worth, learnt }
  if (await holderOf(scene, connection, away, arrival)) return { ...fresh, attempt: { ...attempt, arrival } }
  return comeIn(fresh, connection, away, arrival)
}

const learntAt = ({ services }: Scene, attempt: Attempt, connection: Connection, { user, renewal }: Arrived) =>
  sealLearnt(services.keyring, attempt, learntFrom(connection, services.clock.now(), { claims: user.claims, renewal }))

type Arrival = NonNullable<Attempt['arrival']>
type Worth = Arrival['worth']

/**
 * What an upstream's word is worth. Where it is not trusted with more, it is one factor, of which nobody knows the kind:
 * it counts as the weakest, and says no `amr`, for RFC 8176 has no value for having proven something elsewhere.
 */
const worthOf = ({ services }: Scene, { trust }: PoolUpstream, { acr, amr = [], at }: Arrived): Worth => {
  const now = services.clock.now().getTime()
  const two = trust.acr && (reaches(acr, twoFactors) || (!isAcr(acr) && amr.includes('mfa')) || isPhr(acr))
  return {
    amr: trust.acr ? amr.filter((one) => /^[\w-]{1,30}$/.test(one)).slice(0, 20) : [],
    factors: two ? ['knowledge', 'possession'] : ['knowledge'],
    phishingResistant: trust.acr && isPhr(acr),
    at: trust.auth_time && at ? Math.min(at.getTime(), now) : now,
  }
}

/** OpenID Connect Extended Authentication Profile ACR Values 1.0: resistant, also by hardware. */
const isPhr = (acr: string | undefined): boolean => acr === phishingResistant || acr === 'phrh'

/** Somebody who comes by an identity that they have linked: a user of another pool, with whatever that pool asks besides. */
const comeInLinked = async (stage: Stage, connection: Connection, link: links.Found, worth: Worth): Promise<Stage> => {
  const { scene } = stage
  const home = openConnections(scene).find(({ pool }) => pool.id === link.homePoolId)
  const user = home && (await users.findById(scene.services.db, link.userId))
  const isStill = user?.status === 'active' && user.era === link.era
  // Whoever stays at a source is let in by it alone: it may have closed them since.
  if (!home || !isStill || isKeptElsewhere(home.pool, user)) return turnAway(stage, connection, user)
  return prove(stage, home, user, worth)
}

const comeIn = async (
  stage: Stage,
  connection: Connection,
  away: AwayPool,
  { outsider, worth, learnt }: Arrival,
): Promise<Stage> => {
  const welcomed = await away.welcome(outsider)
  if (welcomed.is === 'linked' && away.upstream.linking !== 'off')
    return comeInLinked(stage, connection, welcomed.link, worth)
  if (welcomed.is !== 'user') return turnAway(stage, connection, undefined)
  return prove({ ...stage, attempt: { ...stage.attempt, learnt } }, connection, welcomed.user, worth)
}

const turnAway = (stage: Stage, connection: Connection, user: users.User | undefined): Stage => {
  fail(stage.scene, connection, user, 'refused')
  return { ...stage, attempt: { ...stage.attempt, alert: unknown(connection) } }
}

const unknown = ({ name }: Connection): Word => ({ key: 'alert.upstream_unknown', values: { name } })

const prove = async (stage: Stage, { pool }: Connection, user: users.User, worth: Worth): Promise<Stage> => {
  const { scene } = stage
  const { clock } = scene.services
  const identifier = nameOf(user)
  const { phishingResistant: resists, ...proven } = worth
  const method = {
    name: upstreamProof,
    amr: '',
    factors: worth.factors,
    ...(resists ? { phishingResistant: true } : {}),
  }
  const proof = { ...proofOf(method as Parameters<typeof proofOf>[0], user, clock.now(), proven), at: worth.at }
  const attempt = { ...stage.attempt, pool: pool.id, person: user.id, identifier, proofs: [proof] }
  const asking = {
    scene,
    attempt,
    pool,
    home: openPool(pool, scene.services),
    subject: { is: 'user', identifier, user },
  }
  const judged = await assess(asking as Parameters<typeof assess>[0], { failures: { account: 0, network: 0 } })
  if (!judged.refused) return { scene, found: user, attempt: judged.attempt }
  const alert = { key: 'alert.upstream_refused', values: { name: pool.name } }
  return { scene, found: undefined, attempt: { ...restart(attempt), risk: judged.attempt.risk, alert } }
}

/** What somebody is called on our pages; they may go by nothing here. */
const nameOf = ({ id, identifiers, profile }: users.User): Identifier => {
  const known = identifiers.find(({ kind }) => kind === 'email') ?? identifiers[0]
  if (known) return { kind: known.kind, value: known.value, typed: known.typed }
  const typed = [profile.name, profile.preferred_username, profile.given_name].find((one) => typeof one === 'string')
  return { kind: 'username', value: id, typed: typeof typed === 'string' ? typed : '' }
}

/**
 * Who of another pool, open here, goes by an address that the newcomer has proven; only where linking is offered, and
 * only if both have proven it. It is a hint and no more: the account lets in only whoever proves that it is theirs.
 */
const holderOf = async (
  scene: Scene,
  connection: Connection,
  { upstream }: AwayPool,
  { outsider }: Arrival,
): Promise<{ home: Connection; identifier: Identifier } | undefined> => {
  if (upstream.linking !== 'offer') return undefined
  const { db } = scene.services
  const told = outsider.identifiers.find(({ kind, verified }) => kind === 'email' && verified)
  const identifier = told && readIdentifier(told.typed, ['email'])
  if (!identifier || (await links.isUser(db, connection.pool.id, outsider.externalId))) return undefined
  const homes = openConnections(scene).filter(
    ({ pool }) => !isAway(pool) && !staysElsewhere(pool) && pool.settings.identifiers.includes('email'),
  )
  const holder = await links.findHolder(
    db,
    homes.map(({ pool }) => pool.id),
    identifier,
    connection.pool.id,
  )
  const home = homes.find(({ pool }) => pool.id === holder)
  return home && { home, identifier }
}

/** Whoever may have an account already proves that it is theirs, or goes on with a new one. */
export const answerOffer = async (
  stage: Stage,
  { action }: Action,
  ask: (stage: Stage) => Promise<Attempt>,
): Promise<Attempt> => {
  const { scene, attempt } = stage
  const { arrival } = attempt
  const connection = openConnections(scene).find(({ id }) => id === arrival?.connection)
  if (!arrival || !connection) return restart(attempt)
  const away = openPool(connection.pool, scene.services) as AwayPool
  const fresh = { scene, found: undefined, attempt: { ...restart(attempt), pool: connection.pool.id } }
  if (action !== 'link') return (await comeIn(fresh, connection, away, arrival)).attempt
  const holder = await holderOf(scene, connection, away, arrival)
  if (!holder) return (await comeIn(fresh, connection, away, arrival)).attempt
  const { home, identifier } = holder
  const linking = { ...restart(attempt), pool: home.pool.id, identifier, arrival: { ...arrival, linking: true } }
  return ask({ scene, found: undefined, attempt: linking })
}

/** Links what somebody came with to the account that they have proven to be theirs, once they are let in. */
export const keepLink = async (scene: Scene, { arrival }: Attempt, user: users.User): Promise<void> => {
  const connection = openConnections(scene).find(({ id }) => id === arrival?.connection)
  if (!arrival?.linking || !connection) return
  await linkTo(scene, connection, arrival.outsider, user)
}

/** Links an identity to a user who has just proven who they are; they are told. Throws `expired` where they have changed. */
export const linkTo = (
  scene: Scene,
  { pool, name }: Connection,
  { externalId: subject, identifiers, profile }: Arrived['user'],
  user: users.User,
): Promise<Awaited<ReturnType<typeof links.add>>> => {
  const { services } = scene
  const label = String(identifiers[0]?.typed ?? profile.preferred_username ?? profile.name ?? '').slice(0, 200)
  const by = { kind: 'person', id: user.id } as const
  return changeOwn(services, user, async (trx) => {
    const link = { poolId: pool.id, subject, homePoolId: user.poolId, userId: user.id }
    const done = await links.add(trx, services.clock.now(), link, { label, name, by })
    if (done === 'linked') await tellOwner(trx, scene, user, 'factor-added')
    return done
  })
}

const fail = (
  { services, work, workspace, client }: Scene,
  { pool }: Connection,
  user: users.User | undefined,
  why: string,
): void => {
  const about = { workspaceId: workspace.id, poolId: pool.id, userId: user?.id, clientId: client?.id }
  const failed = { type: 'sign_in.failed', data: { method: upstreamProof, why } } as const
  work.events.push(audit.event(services.clock.now(), about, failed))
}
