import { setTimeout } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import * as audit from '../../directory/audit.ts'
import * as contexts from '../../directory/contexts.ts'
import type { Pool } from '../../directory/pools.ts'
import * as sessions from '../../directory/sessions.ts'
import * as users from '../../directory/users.ts'
import type { Connection } from '../../directory/workspaces.ts'
import type { Services } from '../../services.ts'
import { learntFrom } from '../learnt.ts'
import { type Breaker, openBreaker } from '../sources/breaker.ts'
import type { Renewed } from '../upstreams/upstream.ts'
import { federated } from './federated.ts'

/** A refresh waits so long for the upstream; whoever asked within `freshMs` need not be asked again. */
const bounds = { waitMs: 3_000, pollMs: 50, freshMs: 1_000 }

/** What asking an upstream again came to; `kept` where it said nothing now, and what it said before stands. */
export type Outcome =
  | { is: 'told'; user: User; context: contexts.Context }
  | { is: 'kept'; context: contexts.Context }
  | { is: 'over' }

type Context = contexts.Context
type User = users.User

/**
 * Asks a federated pool's upstream again who somebody is. Its refresh token may be good once: of all refreshes of one
 * session at once, on any nodes, one asks and the others wait for what it hears. What comes after three seconds is stored
 * nevertheless, for its answer may hold the only refresh token that is left.
 */
export const renew = async (
  services: Services,
  connection: Connection,
  user: User,
  context: Context,
): Promise<Outcome> => {
  const { learnt } = context
  if (learnt.renewal === undefined || isFresh(services, context)) return { is: 'kept', context }
  const asking = running.get(keyOf(context)) ?? begin(services, connection, user, context)
  const late = setTimeout(bounds.waitMs, { is: 'kept', context } as const, { ref: false })
  return Promise.race([asking, late])
}

const isFresh = ({ clock }: Services, { learnt: { again, at } }: Context): boolean =>
  again === true && clock.now().getTime() < at + bounds.freshMs

const keyOf = ({ workspaceId, id }: Context): string => `${workspaceId} ${id}`

/** What this node is asking now, by the context that it asks for. */
const running = new Map<string, Promise<Outcome>>()

const begin = (services: Services, connection: Connection, user: User, context: Context): Promise<Outcome> => {
  const key = keyOf(context)
  const asking = ask(services, connection, user, context)
    .catch((error: unknown): Outcome => {
      services.log.error({ err: error, connection: connection.id }, 'an upstream could not be asked again')
      return { is: 'kept', context }
    })
    .finally(() => running.delete(key))
  running.set(key, asking)
  return asking
}

const ask = async (services: Services, connection: Connection, user: User, context: Context): Promise<Outcome> => {
  const { db, clock } = services
  const breaker = breakerOf(connection.pool)
  const asker = { who: user.id, ip: undefined }
  if (!(await contexts.lease(db, clock.now(), context))) return follow(services, user, context)
  if (!breaker.enter(asker, clock.now().getTime())) {
    await contexts.release(db, context)
    return { is: 'kept', context }
  }
  const answer = await federated(connection.pool, services).renew(context.learnt.renewal)
  const isFault = answer.is === 'unavailable' || answer.is === 'misconfigured'
  breaker.saw(asker, clock.now().getTime(), isFault)
  services.metrics.source('renew', answer.is)
  if ('detail' in answer) report(services, connection, answer)
  return settle(services, connection, user, context, answer)
}

const report = ({ log }: Services, { id, pool }: Connection, { is, detail }: { is: string; detail: string }): void =>
  log.warn({ connection: id, pool: pool.id, is, detail }, 'an upstream did not say again who somebody is')

const settle = async (
  services: Services,
  connection: Connection,
  user: User,
  context: Context,
  answer: Renewed,
): Promise<Outcome> => {
  const { db, keyring, clock } = services
  const { learnt } = context
  if (answer.is === 'ended') {
    const found = await contexts.look(db, keyring, clock.now(), context)
    // Whoever came by the upstream again in the meantime is signed in there.
    if (found && found.context.version !== context.version) return heard(services, user, found.context)
    await signOut(services, user, context)
    return { is: 'over' }
  }
  const renewal = answer.renewal ?? learnt.renewal
  if (answer.is !== 'ok') {
    const isLater = answer.is === 'unavailable' || answer.is === 'misconfigured'
    // Whoever waits for this elsewhere has to hear a refusal, too.
    const after = isLater && answer.renewal === undefined ? undefined : { ...learnt, renewal, refused: !isLater }
    if (after) await contexts.replace(db, keyring, context, after)
    else await contexts.release(db, context)
    return isLater ? { is: 'kept', context } : { is: 'over' }
  }
  const { user: outsider } = answer
  const now = clock.now()
  const told = learntFrom(connection, now, { claims: outsider.claims, renewal })
  const anew = { ...(told ?? { connection: connection.id, claims: {}, at: now.getTime() }), again: true }
  // First of all, for its refresh token is the only one that is left.
  const stored = await contexts.replace(db, keyring, context, anew)
  if (outsider.externalId !== user.externalId) return { is: 'over' }
  // Whoever came by the upstream again in the meantime goes on with what was told then.
  if (!stored) return follow(services, user, context)
  const welcomed = await federated(connection.pool, services).welcome(outsider)
  return welcomed.is === 'user' ? { is: 'told', user: welcomed.user, context: stored } : { is: 'over' }
}

/** Ends the session of somebody who is not signed in at their upstream any more, with all that hangs on it. */
const signOut = ({ db, clock }: Services, { id, poolId }: User, context: Context): Promise<void> =>
  db.transaction().execute(async (trx) => {
    const { workspaceId } = context
    const at = clock.now()
    const open = await sessions.list(trx, at, poolId, id, [workspaceId])
    const ending = open.filter((session) => session.context === context.id)
    await sessions.end(trx, ending)
    const about = { workspaceId, poolId, userId: id }
    await audit.record(trx, at, about, { type: 'user.sessions_ended', data: { by: audit.system } })
  })

/** Waits for what another node hears. */
const follow = async (services: Services, user: User, context: Context): Promise<Outcome> => {
  const { db, keyring, clock } = services
  for (let waited = 0; waited < bounds.waitMs; waited += bounds.pollMs) {
    const found = await contexts.look(db, keyring, clock.now(), context)
    if (!found) return { is: 'over' }
    if (found.context.version !== context.version) return heard(services, user, found.context)
    if (!found.isLeased) return { is: 'kept', context }
    await setTimeout(bounds.pollMs)
  }
  return { is: 'kept', context }
}

const heard = async ({ db }: Services, { id }: User, context: Context): Promise<Outcome> => {
  if (context.learnt.refused) return { is: 'over' }
  const user = await users.findById(db, id)
  return user ? { is: 'told', user, context } : { is: 'over' }
}

const breakers = new LRUCache<string, Breaker>({ max: 500 })

// Changed settings begin anew: whoever has put them right need not wait.
const breakerOf = ({ id, upstream }: Pool): Breaker => {
  const key = `${id} ${JSON.stringify(upstream?.settings)}`
  const breaker = breakers.get(key) ?? openBreaker()
  breakers.set(key, breaker)
  return breaker
}
