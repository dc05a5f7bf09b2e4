import { isDeepStrictEqual } from 'node:util'
import type { Db } from '../../db/connect.ts'
import { type Identifier, readIdentifier } from '../../directory/identifiers.ts'
import type { OutsideMapping } from '../../directory/outside-mapping.ts'
import type { Pool } from '../../directory/pools.ts'
import * as tombstones from '../../directory/tombstones.ts'
import * as users from '../../directory/users.ts'
import { uuidv7 } from '../../platform/secrets.ts'
import type { Services } from '../../services.ts'
import { mapWithScript } from '../last-word.ts'
import type { Mapped } from '../mapping.ts'
import type { Outsider } from '../outsider.ts'

/** What somebody from outside goes by here. */
export type Named = Identifier & { verified: boolean }

/** Somebody from outside, met: who they are here already, and what the pool's mapping makes of them. */
export interface Met {
  db: Db
  at: Date
  known: users.User | undefined
  mapped: Mapped
}

type Mark = Parameters<typeof tombstones.lies>[2][number]

interface Meeting<Result> {
  outsider: Outsider
  mapping: OutsideMapping
  /** Under what a deletion counts; nothing is looked for where there is none. */
  marksOf(known: users.User | undefined): readonly Mark[]
  decide(met: Met): Promise<Result>
}

/**
 * Meets somebody by what the outside calls them for good, and by nothing else. Of fifty at once for one person, one after the
 * other is here. Nothing outside is asked in the transaction; who was deleted here is not brought back.
 */
export const meet = async <Result>(
  services: Services,
  pool: Pool,
  { outsider, mapping, marksOf, decide }: Meeting<Result>,
): Promise<Result | { is: 'refused'; why: 'script' | 'deleted' }> => {
  const mapped = await mapWithScript(services, pool, mapping, outsider)
  if (!mapped) return { is: 'refused', why: 'script' }
  return services.db.transaction().execute(async (db) => {
    const known = await users.lockByExternalId(db, pool.id, outsider.externalId)
    const marks = marksOf(known)
    if (marks.length > 0 && (await tombstones.lies(db, pool.id, marks))) return { is: 'refused', why: 'deleted' }
    return decide({ db, at: services.clock.now(), known, mapped })
  })
}

/** The mark that the name outside leaves of whoever is deleted. */
export const markOf = ({ externalId }: Outsider): Mark => ({ kind: 'external_id', value: externalId })

/** What somebody would go by here: of the kinds that the pool knows, each once; `proven` they have just proven here. */
export const namedOf = ({ settings }: Pool, { identifiers }: Outsider, proven?: string): Named[] => {
  const read = identifiers.flatMap(({ kind, typed, verified }) => {
    const identifier = readIdentifier(typed, [kind], settings.default_country)
    if (!identifier || !settings.identifiers.includes(kind)) return []
    return [{ ...identifier, verified: kind !== 'username' && (verified || identifier.value === proven) }]
  })
  return read.filter((one, index) => read.findIndex(isCalled(one)) === index)
}

type Called = Pick<Named, 'kind' | 'value'>

/** Whether something is the same to go by. */
export const isCalled =
  ({ kind, value }: Called) =>
  (other: Called): boolean =>
    other.kind === kind && other.value === value

/** What was proven here stays proven, whatever the outside says. */
export const withProven = (before: readonly Named[], after: readonly Named[]): Named[] =>
  after.map((one) => ({
    ...one,
    verified: one.verified || before.some((other) => other.verified && isCalled(one)(other)),
  }))

type NewUser = Pick<users.User, 'authority' | 'externalId'> & {
  source: string
  secondFactorDue?: boolean
  migratedAt?: Date | null
}

/** Makes an active user of somebody whom nobody here knows; answers the id. */
export const insertUser = async (
  { db, at, mapped: { profile, metadata } }: Met,
  poolId: string,
  { secondFactorDue = false, migratedAt = null, ...user }: NewUser,
): Promise<string> => {
  const id = uuidv7(at)
  await db
    .insertInto('users')
    .values({
      ...{ poolId, id, status: 'active', secondFactorDue, migratedAt, ...user },
      profile: JSON.stringify(profile),
      metadata: JSON.stringify(metadata),
    })
    .execute()
  return id
}

/** What is known of a user together with what the outside tells now; undefined where that says nothing new. */
export const newsOf = (
  known: Pick<users.User, 'profile' | 'metadata'>,
  mapped: Pick<Mapped, 'profile' | 'metadata'>,
): Pick<users.User, 'profile' | 'metadata'> | undefined => {
  const profile = { ...known.profile, ...mapped.profile }
  const metadata = { ...known.metadata, ...mapped.metadata }
  return isDeepStrictEqual([profile, metadata], [known.profile, known.metadata]) ? undefined : { profile, metadata }
}

/** A user who was just written. */
export const written = async (db: Db, id: string): Promise<users.User> => {
  const user = await users.findById(db, id)
  if (!user) throw new Error('A user who was just written is not there.')
  return user
}
