import { isDeepStrictEqual } from 'node:util'
import { sql } from 'kysely'
import type { Db } from '../../db/connect.ts'
import * as audit from '../../directory/audit.ts'
import { type Identifier, readIdentifier } from '../../directory/identifiers.ts'
import type { PoolUpstream } from '../../directory/pool-upstream.ts'
import type { Pool } from '../../directory/pools.ts'
import * as tombstones from '../../directory/tombstones.ts'
import * as identifiersOf from '../../directory/user-identifiers.ts'
import * as users from '../../directory/users.ts'
import { uuidv7 } from '../../platform/secrets.ts'
import type { Services } from '../../services.ts'
import { mapWithScript } from '../last-word.ts'
import type { Mapped } from '../mapping.ts'
import type { Outsider } from '../outsider.ts'
import { place } from './placing.ts'

/** Who somebody is here who proved at the pool's upstream who they are, or why they may not come in. */
export type Welcomed = { is: 'user'; user: users.User } | { is: 'refused'; why: 'unknown' | 'not_active' }

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
  const mapped = await mapWithScript(services, pool, upstream.mapping, outsider)
  if (!mapped) return { is: 'refused', why: 'not_active' }
  const named = namedOf(pool, outsider)
  return services.db.transaction().execute(async (trx) => {
    const { externalId } = outsider
    const at = services.clock.now()
    const known = await users.lockByExternalId(trx, pool.id, externalId)
    if (!known && upstream.new_users === 'refuse') return { is: 'refused', why: 'unknown' }
    const marks = [{ kind: 'external_id', value: externalId } as const]
    if (!known && (await tombstones.lies(trx, pool.id, marks))) return { is: 'refused', why: 'not_active' }
    if (known && known.status !== 'active') return { is: 'refused', why: 'not_active' }
    const always = upstream.mapping.when === 'every_sign_in'
    const id = known?.id ?? (await make(trx, at, pool, upstream.type, externalId, mapped))
    if (known && always) await refresh(trx, at, known, mapped)
    if (!known || always) await name(trx, at, { pool, id, known }, named)
    await place(trx, at, { poolId: pool.id, userId: id }, upstream.mapping, mapped, known === undefined)
    const user = await users.findById(trx, id)
    if (!user) throw new Error('A user who was just written is not there.')
    return { is: 'user', user }
  })
}

type Named = Identifier & { verified: boolean }

/** What somebody would go by here: of the kinds that the pool knows, each once; a username of elsewhere is no name here. */
const namedOf = ({ settings }: Pool, { identifiers }: Outsider): Named[] => {
  const read = identifiers.flatMap(({ kind, typed, verified }) => {
    const identifier = readIdentifier(typed, [kind], settings.default_country)
    if (!identifier || kind === 'username' || !settings.identifiers.includes(kind)) return []
    return [{ ...identifier, verified }]
  })
  return read.filter((one, index) => read.findIndex(({ value }) => value === one.value) === index)
}

const make = async (
  db: Db,
  at: Date,
  { id: poolId }: Pool,
  source: string,
  externalId: string,
  { profile, metadata }: Mapped,
): Promise<string> => {
  const id = uuidv7(at)
  await db
    .insertInto('users')
    .values({
      ...{ poolId, id, status: 'active', authority: 'linked', source, externalId },
      profile: JSON.stringify(profile),
      metadata: JSON.stringify(metadata),
    })
    .execute()
  await audit.record(db, at, { poolId, userId: id }, { type: 'user.created', data: { by: audit.system } })
  return id
}

const refresh = async (db: Db, at: Date, known: users.User, mapped: Mapped): Promise<void> => {
  const before = { profile: known.profile, metadata: known.metadata }
  const after = {
    profile: { ...known.profile, ...mapped.profile },
    metadata: { ...known.metadata, ...mapped.metadata },
  }
  if (isDeepStrictEqual(before, after)) return
  await db
    .updateTable('users')
    .set({ profile: JSON.stringify(after.profile), metadata: JSON.stringify(after.metadata), updatedAt: at })
    .where('poolId', '=', known.poolId)
    .where('id', '=', known.id)
    .execute()
  const data = { by: audit.system, ...audit.difference(before, after) }
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
  const proven = named.map((one) => ({
    ...one,
    verified: one.verified || before.some(isSame({ ...one, verified: true })),
  }))
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
  const left = news.filter((one) => !added.some(({ kind, value }) => kind === one.kind && value === one.value))
  await audit.recordMany(
    db,
    at,
    left.map(({ kind }) => ({
      about: { poolId: pool.id, userId: id },
      happening: { type: 'user.identifier_left_out', data: { identifier_kind: kind } },
    })),
  )
}

type Same = { kind: string; value: string; verified: boolean }

const isSame =
  (one: Same) =>
  (other: Same): boolean =>
    one.kind === other.kind && one.value === other.value && one.verified === other.verified

const drop = async (db: Db, poolId: string, userId: string, gone: readonly Same[]): Promise<void> => {
  if (gone.length === 0) return
  const pairs = sql.join(gone.map(({ kind, value }) => sql`(${kind}::text, ${value}::text)`))
  await sql`delete from identifiers where pool_id = ${poolId} and user_id = ${userId} and (kind, value) in (${pairs})`.execute(
    db,
  )
}
