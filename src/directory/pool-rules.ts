import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import type { PoolSettings } from './pool-settings.ts'
import type { PoolSource } from './pool-source.ts'
import type { PoolUpstream } from './pool-upstream.ts'

/** A pool as far as its kind decides what it may be set to. */
export interface Outside {
  kind: 'local' | 'external' | 'federated'
  source: PoolSource | null
  upstream: PoolUpstream | null
  settings: PoolSettings
}

interface Fault {
  pointer: string
  detail: string
}

/** Throws `unprocessable` where what a pool is set to does not go with where its people live. */
export const checkOutside = (pool: Outside): void => {
  const errors = [...kindFaults(pool), ...stayingFaults(pool), ...secondFaults(pool)]
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
}

const kindFaults = ({ kind, source, upstream }: Outside): Fault[] => {
  const federated = 'People of a federated pool always sign in at their upstream: nobody can be migrated from a source'
  return [
    ...(kind === 'external' && !source
      ? [{ pointer: '/source', detail: 'An external pool needs the source that its people live in' }]
      : []),
    ...(kind === 'federated' && source ? [{ pointer: '/source', detail: federated }] : []),
    ...(kind === 'local' && source
      ? [{ pointer: '/source', detail: 'Only people of an external pool live in a source' }]
      : []),
    ...(kind === 'federated' && !upstream
      ? [{ pointer: '/upstream', detail: 'A federated pool needs the upstream that its people sign in at' }]
      : []),
    ...(kind !== 'federated' && upstream
      ? [{ pointer: '/upstream', detail: 'Only people of a federated pool sign in at an upstream' }]
      : []),
  ]
}

/** Whoever stays at a source is let in by it alone: what is ours to send or to keep would let in whom it has closed. */
const stayingFaults = ({ source, settings }: Outside): Fault[] => {
  if (source?.mode !== 'sync') return []
  const others = settings.sign_in_methods.filter((name) => name !== 'password')
  return [
    ...(others.length > 0
      ? [
          {
            pointer: '/sign_in_methods',
            detail: `People who stay at their source sign in by its password alone: ${others.join(', ')} would let in whom it has closed`,
          },
        ]
      : []),
    ...(settings.self_registration
      ? [{ pointer: '/self_registration', detail: 'People who stay at their source are made there' }]
      : []),
  ]
}

const secondFaults = ({ source, settings }: Outside): Fault[] => {
  const alone = settings.second_factors.every((name) => name === 'recovery_code')
  if (source?.second_factor_there !== 'require_ours' || !alone) return []
  return [{ pointer: '/second_factors', detail: 'Who has a second factor at the source gets one here: name which' }]
}

/** Throws `conflict` where a pool's people could not be told from others any more, or would be lost to their source. */
export const checkMove = async (db: Db, poolId: string, before: Outside, after: Outside): Promise<void> => {
  if (before.kind !== after.kind && (await countUsers(db, poolId, false)) > 0)
    throw new Problem('conflict', { detail: 'The kind of a pool cannot change while it has users.' })
  const moved = before.source && after.source && before.source.type !== after.source.type
  if (moved && (await countUsers(db, poolId, true)) > 0)
    throw new Problem('conflict', { detail: 'Users came from this source: its type cannot change any more.' })
  // Without one, too: another one could be set afterwards, and speak for whoever linked this one's identities.
  const elsewhere = before.upstream && (!after.upstream || namesOf(before.upstream) !== namesOf(after.upstream))
  if (elsewhere && ((await countUsers(db, poolId, true)) > 0 || (await hasLinks(db, poolId))))
    throw new Problem('conflict', {
      detail: 'Users came from this upstream: another one may call somebody else the same. Make a pool for it.',
    })
}

/**
 * Whose names people of an upstream are known by: a subject says nothing without its issuer (OpenID Connect Core 5.7),
 * nor a name of SAML without the attribute that it is read from.
 */
const namesOf = ({ type, settings }: NonNullable<Outside['upstream']>): string =>
  JSON.stringify([type, settings.issuer, settings.entity_id, settings.subject_attribute])

const hasLinks = async (db: Db, poolId: string): Promise<boolean> =>
  (await db.selectFrom('links').select('subject').where('poolId', '=', poolId).limit(1).executeTakeFirst()) !==
  undefined

/** How many users of a pool are not deleted; only those who came from its source or still live there where asked. */
const countUsers = async (db: Db, poolId: string, outside: boolean): Promise<number> => {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from users where pool_id = ${poolId} and status <> 'deleted'
      and (${!outside} or authority <> 'local')`.execute(db)
  return rows[0]?.count ?? 0
}

/** How many users have not come over yet, of those who are known here. */
export const countLinked = async (db: Db, poolId: string): Promise<number> => {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from users
    where pool_id = ${poolId} and status <> 'deleted' and authority = 'linked'`.execute(db)
  return rows[0]?.count ?? 0
}
