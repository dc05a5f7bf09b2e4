import { sql } from 'kysely'
import type { Db } from '../../db/connect.ts'
import * as audit from '../../directory/audit.ts'
import * as credentials from '../../directory/credentials.ts'
import type { Identifier } from '../../directory/identifiers.ts'
import type { OutsideMapping } from '../../directory/outside-mapping.ts'
import type { Pool } from '../../directory/pools.ts'
import * as identifiersOf from '../../directory/user-identifiers.ts'
import type * as users from '../../directory/users.ts'
import { Problem } from '../../platform/problem.ts'
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
import { place, type Unplaced } from './placing.ts'

/** Somebody whom only the outside knew until they proved who they are. */
export interface Coming {
  outsider: Outsider
  /** The type of the source or upstream that they come from. */
  source: string
  /** `migrated`: they come for good; `linked`: they prove themselves outside the next time, too. */
  authority: 'linked' | 'migrated'
  mapping: OutsideMapping
  /** Whether the profile and metadata are taken over although they have been here before. */
  always: boolean
  /** What they typed: they must go by it afterwards. */
  asked?: Identifier | undefined
  /** An address of theirs that they have just proven here. */
  proven?: string | undefined
  /** The password that they proved, for whoever comes for good; and whether it only leads on to a new one. */
  passwordHash?: string | undefined
  mustChange?: boolean | undefined
  /** Whether they have to have a second factor here, as they have one outside. */
  secondFactorDue?: boolean | undefined
}

export type Refusal =
  /** They were deleted here, or closed. */
  | 'deleted'
  | 'not_active'
  /** Nothing that they go by is free here, or what they typed or proved is not. */
  | 'identifier_taken'
  | 'no_identifier'
  /** The pool's mapping script failed, and its operator wants nobody in then. */
  | 'script'

/** `made` where this call gave them what came along; else somebody was first, and the caller's proof is looked at again. */
export type Adopted = { is: 'user'; user: users.User; made: boolean } | { is: 'refused'; why: Refusal }

/**
 * Makes a user of somebody from a source or an upstream who has just proven who they are, or brings the user they are
 * already up to date. Of fifty at once for one person, one makes the user and all get the same. Who was deleted here is
 * not brought back, and nobody takes over what another user goes by. Nothing outside is asked in its transaction.
 */
export const adopt = async (services: Services, pool: Pool, coming: Coming): Promise<Adopted> => {
  const { outsider, mapping } = coming
  const named = namedOf(pool, outsider, coming.proven)
  if (named.length === 0) return { is: 'refused', why: 'no_identifier' }
  const adopting = meet<Adopted>(services, pool, {
    ...{ outsider, mapping },
    marksOf: () => [markOf(outsider), ...named],
    decide: (met) => {
      const read = { ...met, coming, named }
      return met.known ? refresh(pool, met.known, read) : make(pool, read)
    },
  })
  return adopting.catch((error: unknown) => {
    // Somebody took what they go by in the same moment.
    if (error instanceof Problem && error.code === 'conflict') return { is: 'refused', why: 'identifier_taken' }
    throw error
  })
}

interface Read extends Met {
  coming: Coming
  named: Named[]
}

/** Who goes by some identifiers already; what only a registration claims that nobody has proven is free for its owner. */
const holdersOf = async (db: Db, poolId: string, named: readonly Named[]) =>
  db
    .selectFrom('identifiers')
    .innerJoin('users', (join) =>
      join.onRef('users.poolId', '=', 'identifiers.poolId').onRef('users.id', '=', 'identifiers.userId'),
    )
    .select(['kind', 'value', 'users.id', 'status'])
    .where('identifiers.poolId', '=', poolId)
    .where(
      sql<boolean>`(kind, value) in (${sql.join(named.map(({ kind, value }) => sql`(${kind}::text, ${value}::text)`))})`,
    )
    .forUpdate('users')
    .execute()

/** What of somebody's identifiers is theirs to have here; an unproven claim of another gives way to a proof. */
const freeOf = async (db: Db, at: Date, poolId: string, own: string | undefined, named: readonly Named[]) => {
  const holders = await holdersOf(db, poolId, named)
  const holderOf = (one: Named) => holders.find(isCalled(one))
  const claims = named.flatMap((one) => {
    const holder = holderOf(one)
    return one.verified && holder?.status === 'new' && holder.id !== own ? [{ ...one, user: holder.id }] : []
  })
  for (const { kind, value, user } of claims) await dropClaim(db, at, poolId, user, { kind, value })
  return named.filter((one) => {
    const holder = holderOf(one)
    return !holder || holder.id === own || claims.some(isCalled(one))
  })
}

/** Takes an address from whoever claimed it and never proved it; who goes by nothing then is gone (security.md A02). */
const dropClaim = async (
  db: Db,
  at: Date,
  poolId: string,
  userId: string,
  { kind, value }: Pick<Identifier, 'kind' | 'value'>,
) => {
  await db
    .deleteFrom('identifiers')
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('kind', '=', kind)
    .where('value', '=', value)
    .execute()
  const left = await db
    .selectFrom('identifiers')
    .select('value')
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .executeTakeFirst()
  if (left) return
  const closed = { status: 'deleted', profile: '{}', metadata: '{}', updatedAt: at } as const
  await db.updateTable('users').set(closed).where('poolId', '=', poolId).where('id', '=', userId).execute()
  await credentials.removeAll(db, poolId, userId)
}

const has = (named: readonly Named[], wanted: Pick<Identifier, 'value'>): boolean =>
  named.some(({ value }) => value === wanted.value)

const isReached = (free: readonly Named[], { asked, proven }: Coming): boolean =>
  (asked === undefined || has(free, asked)) && (proven === undefined || has(free, { value: proven }))

const make = async (pool: Pool, read: Read): Promise<Adopted> => {
  const { db, at, coming, named, mapped } = read
  const free = await freeOf(db, at, pool.id, undefined, named)
  if (free.length === 0 || !isReached(free, coming)) return { is: 'refused', why: 'identifier_taken' }
  const { authority, source, outsider, secondFactorDue = false } = coming
  const id = await insertUser(read, pool.id, {
    ...{ authority, source, externalId: outsider.externalId, secondFactorDue },
    migratedAt: authority === 'migrated' ? at : null,
  })
  await identifiersOf.add(db, at, pool.id, id, free)
  await keepPassword(db, at, pool.id, id, coming)
  const unplaced = await place(db, at, { poolId: pool.id, userId: id }, coming.mapping, mapped, true)
  await tell(db, at, { poolId: pool.id, userId: id }, read, { first: true, free, unplaced })
  return { is: 'user', user: await written(db, id), made: true }
}

/** Brings somebody who has been here before up to date. Who came for good is theirs alone to change from then on. */
const refresh = async (pool: Pool, known: users.User, read: Read): Promise<Adopted> => {
  const { db, at, coming, named, mapped } = read
  if (known.status !== 'active' && known.status !== 'new') return { is: 'refused', why: 'not_active' }
  const own = known.authority === 'migrated' || known.credentials.some(({ kind }) => kind === 'password')
  const theirs = known.identifiers.map((one) => ({ ...one }))
  if (own)
    return isReached(theirs, coming)
      ? { is: 'user', user: known, made: false }
      : { is: 'refused', why: 'identifier_taken' }
  const free = await freeOf(db, at, pool.id, known.id, named)
  if (!isReached(free, coming)) return { is: 'refused', why: 'identifier_taken' }
  await identifiersOf.replace(db, at, known, withProven(theirs, free))
  const news = coming.always ? newsOf(known, mapped) : undefined
  const { authority, source, secondFactorDue = false } = coming
  await db
    .updateTable('users')
    .set({
      ...{ status: 'active', authority, source, secondFactorDue: known.secondFactorDue || secondFactorDue },
      ...(news
        ? { profile: JSON.stringify(news.profile), metadata: JSON.stringify(news.metadata), updatedAt: at }
        : {}),
      ...(authority === 'migrated' ? { migratedAt: at } : {}),
    })
    .where('poolId', '=', pool.id)
    .where('id', '=', known.id)
    .execute()
  await keepPassword(db, at, pool.id, known.id, coming)
  const unplaced = await place(db, at, { poolId: pool.id, userId: known.id }, coming.mapping, mapped, false)
  const isMoved = authority !== known.authority
  if (news || isMoved)
    await tell(db, at, { poolId: pool.id, userId: known.id }, read, { first: isMoved, free, unplaced })
  return { is: 'user', user: await written(db, known.id), made: true }
}

const keepPassword = async (
  db: Db,
  at: Date,
  poolId: string,
  id: string,
  { passwordHash, mustChange = false }: Coming,
): Promise<void> => {
  if (passwordHash) await credentials.setPassword(db, at, poolId, id, passwordHash, { mustChange })
}

const tell = async (
  db: Db,
  at: Date,
  about: { poolId: string; userId: string },
  { coming, named, mapped }: Read,
  { first, free, unplaced }: { first: boolean; free: Named[]; unplaced: Unplaced },
): Promise<void> => {
  const left = { dropped_fields: mapped.dropped, dropped_identifiers: named.length - free.length }
  const type = coming.authority === 'migrated' ? 'migration.migrated' : 'migration.synced'
  await audit.record(db, at, about, { type, data: { source: coming.source, first, ...unplaced, ...left } })
}
