import { sql } from 'kysely'
import type { Db } from '../../db/connect.ts'
import * as audit from '../../directory/audit.ts'
import * as links from '../../directory/links.ts'
import type { PoolUpstream } from '../../directory/pool-upstream.ts'
import type { Pool } from '../../directory/pools.ts'
import * as identifiersOf from '../../directory/user-identifiers.ts'
import type * as users from '../../directory/users.ts'
import type { Services } from '../../services.ts'
import type { Outsider } from '../outsider.ts'
import {
  insertUser,
  isCalled,
  type Met,
  markOf,
  meet,
  type Named,
  namedOf,
  newsOf,
  withProven,
  written,
} from './newcomer.ts'
import { place } from './placing.ts'

/** Who somebody is here who proved at the pool's upstream who they are, or why they may not come in. */
export type Welcomed =
  | { is: 'user'; user: users.User }
  /** A user of another pool has linked them in the meantime. */
  | { is: 'linked'; link: links.Found }
  | { is: 'refused'; why: 'unknown' | 'not_active' }

/**
 * The user of a federated pool who has this subject at its upstream: made at their first sign-in, brought up to date at
 * later ones where the mapping says so. The subject alone says who it is: what somebody else of the pool goes by is left
 * out, and nobody is ever found by an address (security.md A01, A06). Of twenty at once, all get the same user.
 */
export const welcome = async (
  services: Services,
  pool: Pool,
  upstream: PoolUpstream,
  outsider: Outsider,
): Promise<Welcomed> => {
  const { mapping } = upstream
  const welcomed = await meet<Welcomed>(services, pool, {
    ...{ outsider, mapping },
    marksOf: (known) => (known ? [] : [markOf(outsider)]),
    decide: (met) => decide(pool, upstream, outsider, met),
  })
  return welcomed.is === 'refused' && welcomed.why !== 'unknown' ? { is: 'refused', why: 'not_active' } : welcomed
}

const decide = async (pool: Pool, upstream: PoolUpstream, outsider: Outsider, met: Met): Promise<Welcomed> => {
  const { db, at, known, mapped } = met
  const { externalId } = outsider
  const link = known ? undefined : await links.find(db, pool.id, externalId)
  if (link) return { is: 'linked', link }
  if (!known && upstream.new_users === 'refuse') return { is: 'refused', why: 'unknown' }
  if (known && known.status !== 'active') return { is: 'refused', why: 'not_active' }
  const always = upstream.mapping.when === 'every_sign_in'
  const id = known?.id ?? (await make(pool, upstream.type, externalId, met))
  if (known && always) await refresh(known, met)
  // A username of elsewhere is no name here.
  const named = namedOf(pool, outsider).filter(({ kind }) => kind !== 'username')
  if (!known || always) await name(db, at, { pool, id, known }, named)
  await place(db, at, { poolId: pool.id, userId: id }, upstream.mapping, mapped, known === undefined)
  return { is: 'user', user: await written(db, id) }
}

const make = async ({ id: poolId }: Pool, source: string, externalId: string, met: Met): Promise<string> => {
  const { db, at } = met
  const id = await insertUser(met, poolId, { authority: 'linked', source, externalId })
  await audit.record(db, at, { poolId, userId: id }, { type: 'user.created', data: { by: audit.system } })
  return id
}

const refresh = async (known: users.User, { db, at, mapped }: Met): Promise<void> => {
  const news = newsOf(known, mapped)
  if (!news) return
  await db
    .updateTable('users')
    .set({ profile: JSON.stringify(news.profile), metadata: JSON.stringify(news.metadata), updatedAt: at })
    .where('poolId', '=', known.poolId)
    .where('id', '=', known.id)
    .execute()
  const before = { profile: known.profile, metadata: known.metadata }
  const data = { by: audit.system, ...audit.difference(before, news) }
  await audit.record(db, at, { poolId: known.poolId, userId: known.id }, { type: 'user.updated', data })
}

interface Naming {
  pool: Pool
  id: string
  known: users.User | undefined
}

/** Gives somebody what they go by, but for what another user of the pool has. What was proven once stays proven. */
const name = async (db: Db, at: Date, { pool, id, known }: Naming, named: Named[]): Promise<void> => {
  const before = known?.identifiers ?? []
  const told = new Set(named.map(({ kind }) => kind))
  const kept = before.filter(({ kind }) => !told.has(kind))
  const proven = withProven(before, named)
  if (proven.length === 0) return
  const gone = before.filter((one) => !kept.includes(one) && !proven.some(isSame(one)))
  await drop(db, pool.id, id, gone)
  const news = proven.filter((one) => !before.some(isSame(one)))
  const added = await identifiersOf.insert(
    db,
    at,
    pool.id,
    news.map((one) => ({ ...one, userId: id })),
  )
  const left = news.filter((one) => !added.some(isCalled(one)))
  await audit.recordMany(
    db,
    at,
    left.map(({ kind }) => ({
      about: { poolId: pool.id, userId: id },
      happening: { type: 'user.identifier_left_out', data: { identifier_kind: kind } },
    })),
  )
}

const isSame =
  (one: Named) =>
  (other: Named): boolean =>
    isCalled(one)(other) && one.verified === other.verified

const drop = async (db: Db, poolId: string, userId: string, gone: readonly Named[]): Promise<void> => {
  if (gone.length === 0) return
  const pairs = sql.join(gone.map(({ kind, value }) => sql`(${kind}::text, ${value}::text)`))
  await sql`delete from identifiers where pool_id = ${poolId} and user_id = ${userId} and (kind, value) in (${pairs})`.execute(
    db,
  )
}
